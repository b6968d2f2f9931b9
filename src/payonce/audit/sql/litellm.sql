-- LiteLLM's SpendLogs: one row for each call through the proxy.

-- name: staged
-- Each row once; metadata is an object or a text that holds one.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, v, moment(v[2]) AS began,
       CASE WHEN json_valid(v[8]) THEN v[8]::JSON END AS metadata,
       CASE WHEN moment(v[2]) IS NULL THEN 'a row without a time' END AS why
FROM (SELECT n, line ->> ['$.request_id', '$.startTime', '$.spend', '$.model', '$.status',
                          '$.cache_hit', '$.cache_key', '$.metadata', '$.messages',
                          '$.prompt_tokens', '$.completion_tokens', '$.end_user', '$.team_id',
                          '$.session_id', '$.custom_llm_provider', '$.user', '$.endTime'] AS v
      FROM incoming
      WHERE is_json AND contains(line, '"request_id"') AND contains(line, '"spend"'));

-- name: calls
-- A cached or failed call was not paid; "Cache OFF" is no key.
INSERT INTO calls
SELECT $source, 'litellm', v[1], NULL,
       coalesce(filled(m[1]), filled(m[2]), filled(m[3]), filled(m[4]), filled(m[5]), filled(m[6])),
       coalesce(filled(m[7]), filled(v[14])), began, filled(v[15]), filled(v[4]),
       coalesce(lower(v[6]), '') != 'true'
         AND coalesce(filled(v[5]), filled(m[9]), 'success') = 'success',
       spent(v[3]), 'USD', whole(v[10]), whole(v[11]),
       coalesce(CASE WHEN filled(v[7]) != 'Cache OFF' THEN v[7] END, md5(filled(v[9]))),
       coalesce(filled(v[12]), filled(v[13]), filled(v[16])), whole(m[8])
FROM (SELECT *, metadata ->> ['$.spend_logs_metadata.task', '$.spend_logs_metadata.task_name',
                              '$.spend_logs_metadata.task_id', '$.spend_logs_metadata.job_id',
                              '$.spend_logs_metadata.run_key', '$.spend_logs_metadata.job',
                              '$.spend_logs_metadata.trace_id', '$.attempted_retries',
                              '$.status'] AS m
      FROM staged WHERE why IS NULL);

-- name: errors
-- What a failed call says.
INSERT INTO errors
SELECT $source, NULL,
       coalesce(filled(m[3]), filled(m[4]), filled(m[5]), filled(m[6]), filled(m[7]), filled(m[8])),
       coalesce(filled(m[9]), filled(v[14])), began,
       concat_ws(': ', filled(m[1]), filled(m[2]))
FROM (SELECT *, metadata ->> ['$.error_information.error_class',
                              '$.error_information.error_message',
                              '$.spend_logs_metadata.task', '$.spend_logs_metadata.task_name',
                              '$.spend_logs_metadata.task_id', '$.spend_logs_metadata.job_id',
                              '$.spend_logs_metadata.run_key', '$.spend_logs_metadata.job',
                              '$.spend_logs_metadata.trace_id'] AS m
      FROM staged WHERE why IS NULL AND v[5] = 'failure')
WHERE filled(m[2]) IS NOT NULL;
