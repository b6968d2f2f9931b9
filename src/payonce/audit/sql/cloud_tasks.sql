-- Google Cloud Tasks' task_operations_log.

-- name: staged
-- Each entry once, with the part that it has: dispatched, answered or created.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, v[1] AS task, moment(v[2]) AS noted, v[3] AS dispatched, v[4] AS answered,
       CASE WHEN v[1] IS NULL THEN 'an entry without a task'
            WHEN moment(v[2]) IS NULL THEN 'an entry without a time' END AS why
FROM (SELECT n, line ->> ['$.jsonPayload.task', '$.timestamp', '$.jsonPayload.attemptDispatchLog',
                          '$.jsonPayload.attemptResponseLog'] AS v
      FROM incoming
      WHERE is_json AND (contains(line, 'task_operations_log') OR contains(line, 'TaskActivityLog')));

-- name: answered
-- An answer ends a delivery; it says when that began by its duration.
INSERT INTO deliveries
SELECT $source, 'cloud_tasks', 'tasks:' || $source || ':' || n, last_part(task), 'cloud-tasks', whole(v[1]),
       noted - coalesce(try_cast(try_cast(rtrim(v[2], 's') AS DOUBLE) * 1e6 AS BIGINT), 0), noted,
       v[3] IS DISTINCT FROM 'OK', v[3], NULL, regexp_replace(v[4], '^[A-Z]+ ', ''), NULL, NULL
FROM (SELECT *, answered ->> ['$.dispatchCount', '$.attemptDuration', '$.status',
                              '$.targetAddress'] AS v
      FROM staged WHERE why IS NULL AND answered IS NOT NULL);

-- name: dispatched
-- A dispatch, which is a delivery of its own if no answer to it is found.
INSERT INTO deliveries
SELECT $source, 'cloud_tasks', 'tasks:' || $source || ':' || n, last_part(task), 'cloud-tasks dispatch', whole(v[1]), noted,
       NULL, NULL, NULL, NULL, regexp_replace(v[2], '^[A-Z]+ ', ''), NULL, NULL
FROM (SELECT *, dispatched ->> ['$.dispatchCount', '$.targetAddress'] AS v
      FROM staged WHERE why IS NULL AND dispatched IS NOT NULL AND answered IS NULL);
