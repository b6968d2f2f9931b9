-- Records whose fields the user names with --map, or whose columns are known from public traces.

-- name: staged
-- Each record once; what was not mapped has the path $.''.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT n, v, moment(v[1]) AS began,
       CASE WHEN moment(v[1]) IS NULL THEN 'a record without a time that can be read' END AS why
FROM (SELECT n, line ->> $paths AS v FROM incoming WHERE is_json);

-- name: calls
-- Each record is a call; one with an error or a bad status was not paid, unless it has a cost.
INSERT INTO calls
SELECT $source, 'mapped', $source || ':' || n,
       CASE WHEN v[11] IS NOT NULL AND v[2] IS NOT NULL
            THEN concat_ws(':', 'mapped', $source, v[2], v[11]) END,
       last_part(filled(v[2])), filled(v[12]), began, NULL, filled(v[4]),
       coalesce(spent(v[3]) > 0, NOT coalesce(failed_status(v[7]), false)),
       spent(v[3]), currency_of(v[13]), whole(v[5]), whole(v[6]),
       coalesce(filled(v[14]), md5(filled(v[9]))), filled(v[10]), NULL
FROM staged WHERE why IS NULL;

-- name: deliveries
-- Records that have a task and the number of its attempt tell of deliveries, too.
INSERT INTO deliveries
SELECT $source, 'mapped', concat_ws(':', 'mapped', $source, v[2], v[11]), last_part(v[2]), 'queue', whole(v[11]),
       min(began), max(began), bool_or(failed_status(v[7]) OR filled(v[8]) IS NOT NULL), max(v[7]),
       max(filled(v[12])), NULL, max(filled(v[10])), NULL
FROM staged WHERE why IS NULL AND v[2] IS NOT NULL AND v[11] IS NOT NULL
GROUP BY v[2], v[11];

-- name: errors
-- What a record says went wrong.
INSERT INTO errors
SELECT $source, CASE WHEN v[11] IS NOT NULL THEN concat_ws(':', 'mapped', $source, v[2], v[11]) END,
       last_part(filled(v[2])), filled(v[12]), began, filled(v[8])
FROM staged WHERE why IS NULL AND filled(v[8]) IS NOT NULL;
