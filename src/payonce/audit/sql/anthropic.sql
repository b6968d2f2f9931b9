-- Anthropic's usage and cost reports: buckets of time, each with results; amounts in cents.

-- name: staged
-- Each bucket once.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, moment(v[1]) AS starts, moment(v[2]) AS ends, v[3] AS results,
       CASE WHEN moment(v[1]) IS NULL THEN 'a bucket without a time'
            WHEN json_type(v[3]) IS DISTINCT FROM 'ARRAY' THEN 'a bucket without results' END AS why
FROM (SELECT n, line ->> ['$.starting_at', '$.ending_at', '$.results'] AS v
      FROM incoming WHERE is_json)
WHERE v[1] IS NOT NULL AND v[2] IS NOT NULL;

-- name: buckets
-- Each result of a bucket; what was read from a cache counts as input, as it does at OpenAI.
INSERT INTO buckets
SELECT $source, 'anthropic', starts, ends, filled(v[1]), whole(v[2]),
       CASE WHEN v[3] IS NOT NULL
            THEN coalesce(whole(v[3]), 0) + coalesce(whole(v[4]), 0) + coalesce(whole(v[5]), 0)
                 + coalesce(whole(v[6]), 0) END,
       whole(v[7]), whole(v[4]), coalesce(whole(v[5]), 0) + coalesce(whole(v[6]), 0), cents(v[8]),
       CASE WHEN cents(v[8]) IS NOT NULL THEN currency_of(v[9]) END,
       CASE WHEN v[8] IS NULL THEN 'usage' ELSE 'cost' END
FROM (SELECT starts, ends,
             r ->> ['$.model', '$.requests', '$.uncached_input_tokens', '$.cache_read_input_tokens',
                    '$.cache_creation.ephemeral_1h_input_tokens',
                    '$.cache_creation.ephemeral_5m_input_tokens', '$.output_tokens', '$.amount',
                    '$.currency'] AS v
      FROM (SELECT starts, ends, unnest(from_json(results, '["JSON"]')) AS r
            FROM staged WHERE why IS NULL))
UNION ALL
SELECT $source, 'anthropic', starts, ends, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL
FROM staged WHERE why IS NULL AND json_array_length(results) = 0;
