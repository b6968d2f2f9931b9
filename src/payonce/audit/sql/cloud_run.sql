-- Google Cloud's request logs (Cloud Run, Cloud Functions, load balancers): no request headers.

-- name: staged
-- Each request once.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, v, moment(v[1]) AS noted,
       CASE WHEN moment(v[1]) IS NULL THEN 'a request without a time'
            WHEN v[2] IS NULL THEN 'a request without a status' END AS why
FROM (SELECT n, line ->> ['$.timestamp', '$.httpRequest.status', '$.httpRequest.requestUrl',
                          '$.httpRequest.userAgent', '$.httpRequest.latency', '$.trace',
                          '$.resource.labels.revision_name'] AS v
      FROM incoming WHERE is_json AND contains(line, '"httpRequest"'))
WHERE v[3] IS NOT NULL;

-- name: deliveries
-- A request is a delivery if a queue sent it; which task's, the log doesn't say.
INSERT INTO deliveries
SELECT $source, 'requests', 'request:' || $source || ':' || n, NULL,
       CASE WHEN v[4] = 'Google-Cloud-Tasks' THEN 'cloud-tasks'
            WHEN v[4] = 'Google-Cloud-Scheduler' THEN 'cloud-scheduler'
            WHEN contains(v[4], 'APIs-Google') OR contains(v[4], 'CloudPubSub') THEN 'pubsub'
            WHEN contains(lower(v[4]), 'qstash') OR contains(lower(v[4]), 'upstash') THEN 'qstash'
            WHEN contains(lower(v[4]), 'amazon') AND contains(lower(v[4]), 'sns') THEN 'sns' END,
       NULL, noted,
       noted + coalesce(try_cast(try_cast(rtrim(v[5], 's') AS DOUBLE) * 1e6 AS BIGINT), 0),
       failed_status(v[2]), v[2], regexp_extract(v[6], '([^/]*)$', 1), v[3], NULL, filled(v[7])
FROM staged WHERE why IS NULL;
