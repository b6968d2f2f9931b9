-- OpenAI's organization usage and costs: buckets of time, each with results.

-- name: staged
-- Each bucket once.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, moment(v[1]) AS starts, moment(v[2]) AS ends, v[3] AS results,
       CASE WHEN moment(v[1]) IS NULL THEN 'a bucket without a time'
            WHEN json_type(v[3]) IS DISTINCT FROM 'ARRAY' THEN 'a bucket without results' END AS why
FROM (SELECT n, line ->> ['$.start_time', '$.end_time', '$.results'] AS v
      FROM incoming WHERE is_json AND (line ->> '$.object') = 'bucket');

-- name: buckets
-- Each result of a bucket, with usage or with an amount; an empty bucket is a quiet time.
INSERT INTO buckets
SELECT $source, 'openai', starts, ends, filled(v[1]), whole(v[2]), whole(v[3]), whole(v[4]),
       whole(v[7]), whole(v[8]), nanos(v[5]),
       CASE WHEN nanos(v[5]) IS NOT NULL THEN currency_of(v[6]) END, coalesce(v[9], 'usage')
FROM (SELECT starts, ends, r ->> ['$.model', '$.num_model_requests', '$.input_tokens',
                                  '$.output_tokens', '$.amount.value', '$.amount.currency',
                                  '$.input_cached_tokens', '$.input_cache_write_tokens',
                                  '$.object'] AS v
      FROM (SELECT starts, ends, unnest(from_json(results, '["JSON"]')) AS r
            FROM staged WHERE why IS NULL))
UNION ALL
SELECT $source, 'openai', starts, ends, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL
FROM staged WHERE why IS NULL AND json_array_length(results) = 0;
