-- What belongs together, over all files: calls and errors find their delivery, deliveries their task.

-- name: calls_told_twice
-- Exports overlap: what has the same id in the same kind of export is the same call.
DELETE FROM calls WHERE told_by IN ('langfuse', 'litellm', 'otlp') AND rowid NOT IN (
  SELECT min(rowid) FROM calls GROUP BY told_by, id);

-- name: deliveries_told_twice
-- The same of deliveries.
DELETE FROM deliveries WHERE (told_by != 'lines' OR began IS NOT NULL) AND rowid NOT IN (
  SELECT min(rowid) FROM deliveries
  GROUP BY told_by, queue, task, number, trace, url, began);

-- name: deliveries_in_pieces
-- A delivery of mapped records that lies on both sides of a piece's end is one.
DELETE FROM deliveries WHERE told_by = 'mapped' AND rowid NOT IN (
  SELECT arg_max(rowid, coalesce(failed, false)::INTEGER) FROM deliveries
  WHERE told_by = 'mapped' GROUP BY id);

-- name: keyed
-- Calls of files that give them no id, by what tells them apart.
CREATE TEMP TABLE keyed AS
SELECT DISTINCT told_by, source, began, hash(began, provider, model, paid, nanos, print, task) AS key
FROM calls WHERE told_by IN ('lines', 'mapped', 'metered') AND began IS NOT NULL
  AND (SELECT count(DISTINCT (told_by, source)) > 1 FROM calls
       WHERE told_by IN ('lines', 'mapped', 'metered'));

-- name: copies
-- Files that tell of the same time with, nearly, the same calls: a copy, or an overlap.
CREATE TEMP TABLE copies AS
WITH ranges AS (SELECT told_by, source, min(began) AS low, max(began) AS high FROM keyed GROUP BY ALL),
alike AS (SELECT b.told_by, b.source, a.source AS of, count(*) AS n
          FROM keyed AS a JOIN keyed AS b
            ON a.told_by = b.told_by AND a.key = b.key AND a.source < b.source GROUP BY ALL)
SELECT told_by, source, of FROM (
  SELECT l.*, count(*) AS meanwhile FROM alike AS l
  JOIN ranges AS r ON r.source = l.of AND r.told_by = l.told_by
  JOIN keyed AS k ON k.source = l.source AND k.told_by = l.told_by AND k.began BETWEEN r.low AND r.high
  GROUP BY ALL)
WHERE n >= 3 AND n >= 0.9 * meanwhile;

-- name: calls_in_copies
-- What stands in a copy is no other call.
DELETE FROM calls WHERE rowid IN (
  SELECT c.rowid FROM calls AS c
  JOIN copies AS p ON p.source = c.source AND p.told_by = c.told_by
  JOIN keyed AS k ON k.source = p.of AND k.told_by = c.told_by
   AND k.key = hash(c.began, c.provider, c.model, c.paid, c.nanos, c.print, c.task));

-- name: buckets_told_twice
-- Exports of the same sums, given twice or grouped in two ways: the one with the most rows is kept.
DELETE FROM buckets WHERE (source, provider, starts, ends, what) IN (
  SELECT (source, provider, starts, ends, what)
  FROM (SELECT source, provider, starts, ends, what,
               row_number() OVER (PARTITION BY provider, starts, ends, what, sum(requests),
                                               sum(tokens_in), sum(tokens_out), sum(nanos), currency
                                  ORDER BY count(*) DESC, source) AS place
        FROM buckets GROUP BY source, provider, starts, ends, what, currency)
  WHERE place > 1);

-- name: ends_of_traces
-- A trace ends with the last that it tells of.
UPDATE deliveries SET ended = e.ended
FROM (SELECT trace, max(ended) AS ended FROM ends GROUP BY trace) AS e
WHERE deliveries.ended IS NULL AND deliveries.trace = e.trace;

-- name: dispatches_that_were_answered
-- A dispatch with an answer is the same delivery.
DELETE FROM deliveries WHERE queue = 'cloud-tasks dispatch' AND rowid IN (
  SELECT d.rowid FROM deliveries AS d JOIN deliveries AS a
    ON a.task = d.task AND a.number IS NOT DISTINCT FROM d.number
   AND a.queue = 'cloud-tasks' WHERE d.queue = 'cloud-tasks dispatch');

-- name: dispatches_without_an_answer
-- The others have no outcome.
UPDATE deliveries SET queue = 'cloud-tasks' WHERE queue = 'cloud-tasks dispatch';

-- name: tasks_of_traces
-- A request whose trace another source knows the task of.
UPDATE deliveries SET task = t.task
FROM (SELECT trace, min(task) AS task FROM deliveries
      WHERE trace IS NOT NULL AND task IS NOT NULL
      GROUP BY trace HAVING count(DISTINCT task) = 1) AS t
WHERE deliveries.task IS NULL AND deliveries.trace = t.trace;

-- name: failed_traces
-- A trace with an error in it has failed, where nothing else says how it ended.
UPDATE deliveries SET failed = true
WHERE failed IS NULL AND queue = 'langfuse' AND trace IN (SELECT trace FROM errors);

-- name: working
-- Of each task the deliveries as one teller has them: the one with the most, a log of lines if equal.
CREATE TABLE working AS
SELECT d.* FROM deliveries AS d
JOIN (SELECT task, arg_max(told_by, 2 * n + (told_by = 'lines')::INTEGER) AS told_by
      FROM (SELECT task, told_by, count(*) AS n FROM deliveries
            WHERE task IS NOT NULL AND began IS NOT NULL GROUP BY task, told_by)
      GROUP BY task) AS best ON best.task = d.task AND best.told_by = d.told_by
WHERE d.began IS NOT NULL;

-- name: windows
-- When a single task was at work.
CREATE TEMP TABLE windows AS
WITH numbered AS (SELECT row_number() OVER () AS number, task, id, began, ended
                  FROM working WHERE ended >= began),
edges AS (SELECT began AS t, 1 AS step, number FROM numbered
          UNION ALL SELECT ended + 1, -1, number FROM numbered),
swept AS (SELECT t, sum(step) OVER w AS at_work, sum(step * number) OVER w AS number,
                 lead(t) OVER w AS until
          FROM edges WINDOW w AS (ORDER BY t, step, number))
SELECT s.t, s.until, n.id, n.task FROM swept AS s JOIN numbered AS n ON n.number = s.number
WHERE s.at_work = 1 AND s.until > s.t;

-- name: by_trace
-- Calls whose trace is that of a delivery: the last that had begun then.
CREATE TEMP TABLE by_trace AS
SELECT c.rowid AS call, d.id AS delivery, d.task
FROM calls AS c ASOF JOIN (SELECT * FROM working WHERE trace IS NOT NULL) AS d
  ON c.trace = d.trace AND c.began >= d.began - 1000000
WHERE c.delivery IS NULL AND c.trace IS NOT NULL AND c.began IS NOT NULL;

-- name: by_time
-- Calls with neither a task nor a known trace, made while a single task was at work.
CREATE TEMP TABLE by_time AS
SELECT c.rowid AS call, w.id AS delivery, w.task
FROM calls AS c ASOF JOIN windows AS w ON c.began >= w.t
WHERE c.delivery IS NULL AND c.task IS NULL AND c.began < w.until
  AND c.rowid NOT IN (SELECT call FROM by_trace);

-- name: clocks
-- No call is made before the first delivery of its task: one shortly before tells that the clock of
-- its file is early, and by how much at least.
CREATE TEMP TABLE clocks AS
SELECT task, max(d.began - c.began) AS early
FROM calls AS c JOIN (SELECT task, min(began) AS began FROM working GROUP BY task) AS d USING (task)
WHERE c.delivery IS NULL AND c.began BETWEEN d.began - 900000000 AND d.began GROUP BY task;

-- name: by_task
-- Calls that name their task, made while that task was being worked on.
CREATE TEMP TABLE by_task AS
SELECT c.call, d.id AS delivery, d.task
FROM (SELECT calls.rowid AS call, task, began + coalesce(early, 0) AS began
      FROM calls LEFT JOIN clocks USING (task)
      WHERE delivery IS NULL AND task IS NOT NULL) AS c
ASOF JOIN working AS d ON c.task = d.task AND c.began >= d.began - 1000000
WHERE c.call NOT IN (SELECT call FROM by_trace);

-- name: placed
-- Each call with its delivery, as far as it is known, and how that is known.
CREATE TABLE placed AS
SELECT c.* EXCLUDE (delivery, task),
       coalesce(c.delivery, t.delivery, k.delivery, w.delivery) AS delivery,
       coalesce(t.task, k.task, w.task, c.task) AS task,
       CASE WHEN c.delivery IS NOT NULL THEN 'line' WHEN t.delivery IS NOT NULL THEN 'trace'
            WHEN k.delivery IS NOT NULL THEN 'task' WHEN w.delivery IS NOT NULL THEN 'time'
       END AS how
FROM calls AS c LEFT JOIN by_trace AS t ON t.call = c.rowid
                LEFT JOIN by_task AS k ON k.call = c.rowid
                LEFT JOIN by_time AS w ON w.call = c.rowid;

-- name: episodes
-- A name that comes again after a success is new work, unless a queue gives each message its own.
-- Tasks that came once, most of all, are left out: sums of so many lists would not fit in memory.
CREATE TEMP TABLE episodes AS
SELECT id, told_by, CASE WHEN queue IN ('celery', 'sqs', 'cloud-tasks', 'lambda') THEN 0
  ELSE coalesce(sum((failed IS NOT DISTINCT FROM false)::INTEGER) OVER (
    PARTITION BY task, told_by ORDER BY began, id
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) END AS episode
FROM deliveries SEMI JOIN (
  SELECT task, told_by FROM deliveries WHERE began IS NOT NULL
  GROUP BY task, told_by HAVING count(*) > 1) USING (task, told_by)
WHERE task IS NOT NULL AND began IS NOT NULL;

-- name: outcomes
-- Of each task, by what tells of it, the episode with the most failures: its deliveries, those in
-- vain (after a success, too, where each message has a name of its own), the one that was of use.
CREATE TABLE outcomes AS
WITH told AS (
SELECT task, told_by, episode, list(DISTINCT source ORDER BY source) AS sources,
       count(*) AS deliveries, count(*) FILTER (failed) AS failed,
       CASE WHEN max(queue) IN ('celery', 'sqs', 'cloud-tasks', 'lambda')
            THEN greatest(count(*) FILTER (failed), count(failed) - 1)
            ELSE count(*) FILTER (failed) END AS vain,
       count(*) FILTER (NOT failed) AS done, min(began) AS first, max(coalesce(ended, began)) AS last,
       coalesce(arg_min(id, began) FILTER (NOT failed), arg_min(id, began)) AS useful,
       max(queue) AS queue, max(url) AS url, max(tenant) AS tenant, max(number) AS number,
       list(DISTINCT revision) FILTER (revision IS NOT NULL) AS revisions
FROM deliveries JOIN episodes USING (id, told_by)
WHERE task IS NOT NULL AND began IS NOT NULL
GROUP BY task, told_by, episode HAVING count(*) > 1)
SELECT * FROM told
QUALIFY row_number() OVER (PARTITION BY task, told_by ORDER BY vain DESC, deliveries DESC, first) = 1;

-- name: counted
-- The deliveries of these episodes.
CREATE TABLE counted AS
SELECT d.id, d.task, d.told_by, d.began, d.ended, coalesce(d.id = o.useful, false) AS useful
FROM deliveries AS d JOIN episodes AS e ON e.id = d.id AND e.told_by = d.told_by
JOIN outcomes AS o ON o.task = d.task AND o.told_by = d.told_by AND o.episode = e.episode;
