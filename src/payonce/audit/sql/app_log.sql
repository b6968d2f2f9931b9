-- Lines that people read: an application's, a worker's or a server's log; also as JSON records.

-- name: staged
-- No line is skipped: those that say nothing of money or deliveries are the most.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, NULL::VARCHAR AS why FROM incoming
WHERE (NOT is_json AND NOT starts_with(ltrim(line), '{'))
   OR (is_json AND NOT contains(line, '"httpRequest"') AND regexp_matches(line, $texts));

-- name: lines
-- The lines that may say something, with the time, the trace and the place that a record gives.
-- Records that all have times are put in their order: exports come newest first, or shuffled.
WITH found AS (
SELECT n, moment(coalesce(v[1], v[2], v[3], v[4])) AS noted,
       coalesce(v[5], v[6], v[7], v[8], v[9]) AS trace, coalesce(v[10], v[11], v[12]) AS place, text
FROM (SELECT n, v, CASE WHEN is_json THEN concat_ws(chr(10),
                             coalesce(v[13], v[14], v[15], v[16], v[17], v[18], v[19]), v[20],
                             v[21], v[22], CASE WHEN regexp_matches(line, $ids) THEN line END)
                        ELSE line END AS text
      FROM (SELECT n, line, is_json,
                   CASE WHEN is_json THEN line ->> [
                     '$.timestamp', '$.time', '$.ts', '$."@timestamp"',
                     '$.trace', '$."logging.googleapis.com/trace"', '$.trace_id', '$.traceId',
                     '$.dd.trace_id',
                     '$.thread', '$.processName', '$.thread_name',
                     '$.textPayload', '$.jsonPayload.message', '$.message', '$.msg', '$.event',
                     '$.log', '$.jsonPayload.msg',
                     '$.exception', '$.exc_info', '$.traceback'] END AS v
            FROM incoming
            WHERE n IN (SELECT n FROM staged WHERE why IS NULL)))
WHERE regexp_matches(text, $telling))
SELECT n, noted, trace, place, text
FROM found, (SELECT count(*) = count(noted) AS timed,
             arg_min(noted, n) > arg_max(noted, n) AS falling
             FROM found)
ORDER BY CASE WHEN timed THEN noted END, CASE WHEN timed AND falling THEN -n ELSE n END;

-- name: deliveries
-- Deliveries that lines of a log told of, as they were put together.
INSERT INTO deliveries
SELECT r.source, 'lines', r.id, r.task, r.queue, r.number, r.began, r.ended, r.failed, r.status, r.trace,
       r.url, NULL, NULL
FROM (SELECT unnest(from_json($rows, '[{"source":"INTEGER","id":"VARCHAR","task":"VARCHAR",
  "queue":"VARCHAR","number":"BIGINT","began":"BIGINT","ended":"BIGINT","failed":"BOOLEAN",
  "status":"VARCHAR","trace":"VARCHAR","url":"VARCHAR"}]')) AS r);

-- name: calls
-- Calls that lines of a log told of, each with its delivery where it is clear which.
INSERT INTO calls
SELECT r.source, 'lines', r.id, r.delivery, r.task, r.trace, r.began, r.provider, r.model, r.paid,
       NULL, NULL, r.tokens_in, r.tokens_out, NULL, NULL, r.resends
FROM (SELECT unnest(from_json($rows, '[{"source":"INTEGER","id":"VARCHAR","delivery":"VARCHAR",
  "task":"VARCHAR","trace":"VARCHAR","began":"BIGINT","provider":"VARCHAR","model":"VARCHAR",
  "paid":"BOOLEAN","tokens_in":"BIGINT","tokens_out":"BIGINT","resends":"BIGINT"}]')) AS r);

-- name: errors
-- What went wrong by lines of a log.
INSERT INTO errors
SELECT r.source, r.delivery, r.task, r.trace, r.began, r.text
FROM (SELECT unnest(from_json($rows, '[{"source":"INTEGER","delivery":"VARCHAR","task":"VARCHAR",
  "trace":"VARCHAR","began":"BIGINT","text":"VARCHAR"}]')) AS r);
