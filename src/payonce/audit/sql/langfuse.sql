-- Langfuse: observations and traces, from the page, the API (old and new names) or a blob export.

-- name: staged
-- Each observation or trace once.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, line, v, coalesce(moment(v[5]), moment(v[6])) AS began,
       coalesce(moment(v[7]), moment(v[8])) AS ended, coalesce(v[3], v[4]) AS trace,
       CASE WHEN coalesce(moment(v[5]), moment(v[6])) IS NULL
            THEN 'an observation without a time' END AS why
FROM (SELECT n, line, line ->> ['$.id', '$.type', '$.traceId', '$.trace_id', '$.startTime',
                                '$.start_time', '$.endTime', '$.end_time', '$.level',
                                '$.statusMessage', '$.status_message'] AS v
      FROM incoming WHERE is_json AND (contains(line, '"traceId"') OR contains(line, '"trace_id"'))
        AND (contains(line, '"startTime"') OR contains(line, '"start_time"')))
WHERE v[2] IS NOT NULL AND coalesce(v[3], v[4]) IS NOT NULL
UNION ALL
SELECT n, t, [t ->> '$.id', 'TRACE', t ->> '$.id', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL],
       moment(t ->> '$.timestamp'), NULL, t ->> '$.id', NULL
FROM (SELECT n, CASE WHEN (line ->> '$.trace.id') IS NOT NULL THEN (line -> '$.trace')::VARCHAR
                     ELSE line END AS t
      FROM incoming
      WHERE is_json AND (contains(line, '"sessionId"') OR contains(line, '"session_id"'))
        AND contains(line, '"timestamp"') AND NOT contains(line, '"startTime"')
        AND NOT contains(line, '"start_time"'));

-- name: calls
-- Generations and embeddings are calls; the input is the prompt. A cost of 0 is no price known.
INSERT INTO calls
SELECT $source, 'langfuse', v[1], NULL, NULL, trace, began, NULL, coalesce(w[1], w[2], w[3]),
       v[9] IS DISTINCT FROM 'ERROR',
       nullif(coalesce(spent(w[4]), spent(w[5]), spent(w[6]), spent(w[7]), spent(w[8])), 0), 'USD',
       coalesce(whole(w[9]), whole(w[10]), whole(w[11]), whole(w[12])),
       coalesce(whole(w[13]), whole(w[14]), whole(w[15]), whole(w[16])), md5(filled(w[17])),
       coalesce(filled(w[18]), filled(w[19])), NULL
FROM (SELECT *, line ->> ['$.model', '$.providedModelName', '$.provided_model_name', '$.totalCost',
                          '$.total_cost', '$.costDetails.total', '$.cost_details.total',
                          '$.calculatedTotalCost', '$.usageDetails.input', '$.usage_details.input',
                          '$.usage.promptTokens', '$.usage.input', '$.usageDetails.output',
                          '$.usage_details.output', '$.usage.completionTokens', '$.usage.output',
                          '$.input', '$.userId', '$.user_id'] AS w
      FROM staged WHERE why IS NULL AND upper(v[2]) IN ('GENERATION', 'EMBEDDING'));

-- name: ends
-- When each trace was last at work.
INSERT INTO ends
SELECT trace, max(coalesce(ended, began)) FROM staged WHERE why IS NULL AND v[2] != 'TRACE' GROUP BY trace;

-- name: errors
-- What an observation with the level ERROR says.
INSERT INTO errors
SELECT $source, NULL, NULL, trace, began, coalesce(filled(v[10]), filled(v[11]))
FROM staged
WHERE why IS NULL AND v[9] = 'ERROR' AND coalesce(filled(v[10]), filled(v[11])) IS NOT NULL;

-- name: deliveries
-- A trace is one pass through the work; what it was given is what makes it the same again.
INSERT INTO deliveries
SELECT $source, 'langfuse', 'trace:' || $source || ':' || trace,
       coalesce(filled(w[1]), filled(w[2]), filled(w[3]), filled(w[4]),
                coalesce(filled(w[5]), 'trace') || ' of ' || left(md5(concat(w[6], w[7], w[8])), 8)),
       'langfuse', NULL, began, NULL, NULL, NULL, trace, NULL,
       coalesce(filled(w[7]), filled(w[8])), filled(w[9])
FROM (SELECT *, line ->> ['$.metadata.task', '$.metadata.task_name', '$.metadata.task_id',
                          '$.metadata.run_key', '$.name', '$.input', '$.userId', '$.user_id',
                          '$.release'] AS w
      FROM staged WHERE why IS NULL AND v[2] = 'TRACE')
WHERE coalesce(filled(w[1]), filled(w[2]), filled(w[3]), filled(w[4]), filled(w[6])) IS NOT NULL;
