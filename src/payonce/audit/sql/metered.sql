-- The bill of payonce's metered provider.

-- name: staged
-- Each billed call once.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, v, moment(v[1]) AS began,
       CASE WHEN moment(v[1]) IS NULL THEN 'a call without a time' END AS why
FROM (SELECT n, line ->> ['$.at', '$.provider', '$.model', '$.prompt_sha', '$.input_tokens',
                          '$.output_tokens', '$.cost_nanos'] AS v
      FROM incoming
      WHERE is_json AND contains(line, '"prompt_sha"') AND contains(line, '"cost_nanos"'));

-- name: calls
-- Each line is a call that was paid.
INSERT INTO calls
SELECT $source, 'metered', $source || ':' || n, NULL, NULL, NULL, began, v[2], v[3], true, whole(v[7]), 'USD',
       whole(v[5]), whole(v[6]), v[4], NULL, NULL
FROM staged WHERE why IS NULL;
