-- The tables that every format is read into, and the macros that read single values.
-- Times are whole microseconds since the epoch, amounts whole nano-units of a currency.

-- name: zone
-- What has no zone is UTC.
SET TimeZone = 'UTC';

-- name: macros
-- One reading of times, amounts and counts for all formats; what is absurd becomes NULL.
CREATE MACRO in_range(us) AS
  CASE WHEN us BETWEEN 946684800000000 AND 4102444800000000 THEN us::BIGINT END;
CREATE MACRO scaled(x) AS
  CASE WHEN x < 1e11 THEN x * 1e6 WHEN x < 1e14 THEN x * 1e3 WHEN x < 1e17 THEN x
       WHEN x < 1e20 THEN x / 1e3 END;
CREATE MACRO moment(t) AS in_range(
  CASE WHEN t IS NULL OR length(t) > 64 THEN NULL
       WHEN regexp_full_match(t, '[0-9]{1,20}(\.[0-9]+)?([eE]\+?[0-9]{1,2})?')
         THEN scaled(try_cast(t AS DOUBLE))
       ELSE epoch_us(coalesce(
         try_cast(regexp_replace(t, '([0-9]),([0-9])', '\1.\2') AS TIMESTAMPTZ),
         try_strptime(t, ['%d/%b/%Y:%H:%M:%S %z', '%Y/%m/%d %H:%M:%S'])::TIMESTAMPTZ)) END);
CREATE MACRO whole(t) AS
  CASE WHEN length(t) <= 40 AND try_cast(t AS DECIMAL(38, 6)) BETWEEN 0 AND 9e15
       THEN try_cast(try_cast(t AS DECIMAL(38, 6)) AS BIGINT) END;
CREATE MACRO nanos(t) AS
  CASE WHEN length(t) <= 64
       THEN try_cast(try_cast(t AS DECIMAL(18, 9))::DECIMAL(38, 9) * 1000000000::DECIMAL(10, 0) AS BIGINT) END;
CREATE MACRO spent(t) AS CASE WHEN nanos(t) >= 0 THEN nanos(t) END;
CREATE MACRO cents(t) AS nanos(t) // 100;
CREATE MACRO filled(t) AS
  CASE WHEN lower(trim(t)) NOT IN ('', 'null', 'none', '{}', '[]', '""') THEN trim(t) END;
CREATE MACRO currency_of(t) AS
  CASE WHEN regexp_full_match(t, '[A-Za-z]{3}') THEN upper(t) ELSE 'USD' END;
CREATE MACRO failed_status(t) AS
  CASE WHEN try_cast(t AS INTEGER) BETWEEN 200 AND 299 THEN false
       WHEN try_cast(t AS INTEGER) IS NOT NULL THEN true END;
CREATE MACRO last_part(t) AS
  CASE WHEN contains(t, '/tasks/') THEN regexp_extract(t, '/tasks/(.+)$', 1) ELSE t END;
CREATE MACRO object_in(line, path) AS
  CASE WHEN starts_with(line ->> path, '{') AND json_valid(line ->> path)
       THEN (line ->> path)::JSON ELSE line -> path END;
CREATE MACRO with_objects(line) AS
  CASE WHEN contains(line, '"usage_details":"{') OR contains(line, '"usageDetails":"{')
         OR contains(line, '"cost_details":"{') OR contains(line, '"costDetails":"{')
         OR contains(line, '"usage":"{') 
         OR (contains(line, '"metadata":"{') AND NOT contains(line, '"spend"'))
       THEN json_merge_patch(line, json_object(
         'usage_details', object_in(line, '$.usage_details'),
         'usageDetails', object_in(line, '$.usageDetails'),
         'cost_details', object_in(line, '$.cost_details'),
         'costDetails', object_in(line, '$.costDetails'),
         'usage', object_in(line, '$.usage'),
         'metadata', object_in(line, '$.metadata')))::VARCHAR ELSE line END;

-- name: tables
-- What the formats fill: deliveries of tasks, calls that cost, errors, sums by period. What tells of
-- a thing is in told_by, since one story may be spread over files, and two stories be in one.
CREATE TABLE deliveries (
  source INTEGER, told_by VARCHAR, id VARCHAR, task VARCHAR, queue VARCHAR, number BIGINT,
  began BIGINT, ended BIGINT, failed BOOLEAN, status VARCHAR, trace VARCHAR, url VARCHAR,
  tenant VARCHAR, revision VARCHAR);
CREATE TABLE calls (
  source INTEGER, told_by VARCHAR, id VARCHAR, delivery VARCHAR, task VARCHAR, trace VARCHAR, began BIGINT,
  provider VARCHAR, model VARCHAR, paid BOOLEAN, nanos BIGINT, currency VARCHAR,
  tokens_in BIGINT, tokens_out BIGINT, print VARCHAR, tenant VARCHAR, resends BIGINT);
CREATE TABLE errors (
  source INTEGER, delivery VARCHAR, task VARCHAR, trace VARCHAR, began BIGINT, text VARCHAR);
CREATE TABLE buckets (
  source INTEGER, provider VARCHAR, starts BIGINT, ends BIGINT, model VARCHAR,
  requests BIGINT, tokens_in BIGINT, tokens_out BIGINT, cached BIGINT, written BIGINT, nanos BIGINT,
  currency VARCHAR, what VARCHAR);
CREATE TABLE spans (
  source INTEGER, trace VARCHAR, span VARCHAR, parent VARCHAR, began BIGINT, ended BIGINT,
  name VARCHAR, attributes VARCHAR, failed BOOLEAN, message VARCHAR, tenant VARCHAR,
  exception_type VARCHAR, exception_message VARCHAR);
CREATE TABLE ends (trace VARCHAR, ended BIGINT);
CREATE TEMP TABLE incoming (n BIGINT, line VARCHAR, is_json BOOLEAN);
CREATE TEMP TABLE staged (n BIGINT, why VARCHAR);
CREATE TEMP TABLE marks (n BIGINT, why VARCHAR);

-- name: fill
-- A piece of a file, line by line; $first is the number of its first line.
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT n, line, $json AND json_valid(line) AS is_json
FROM (SELECT unnest(range(1, len(l) + 1)) + $first - 1 AS n, unnest(l) AS line
      FROM (SELECT string_split($text, chr(10)) AS l))
WHERE trim(line) != '';

-- name: csv
-- A table of text, each row as a line of JSON.
SELECT with_objects(to_json(t)::VARCHAR)
FROM read_csv($path, all_varchar = true, header = true, quote = '"', escape = '"',
               ignore_errors = true, store_rejects = true,
              null_padding = false, strict_mode = false, max_line_size = 33554432,
              buffer_size = 67108864, sample_size = 2000) AS t;

-- name: parquet
-- A table of typed columns, each row as a line of JSON.
SELECT with_objects(to_json(t)::VARCHAR) FROM read_parquet($path) AS t;

-- name: rejected
-- Rows of a table that its columns don't fit.
SELECT error_type::VARCHAR, count(DISTINCT line), min(line) FROM reject_errors GROUP BY 1;

-- name: begin
-- A new piece: no format has looked at it yet.
DELETE FROM marks;

-- name: mark
-- What a format made of the rows of a piece.
INSERT INTO marks SELECT n, CASE WHEN bool_or(why IS NULL) THEN NULL ELSE min(why) END
FROM staged GROUP BY n;

-- name: told
-- How many rows a piece had, and those that no format could use, by reason.
SELECT count(*), NULL, NULL FROM incoming
UNION ALL
SELECT count(*), reason, min(n)
FROM (SELECT i.n, coalesce(
               CASE WHEN NOT i.is_json AND starts_with(ltrim(i.line), '{') THEN 'no JSON' END, m.why,
               CASE WHEN $json AND NOT i.is_json THEN 'no JSON'
                    ELSE 'of no format that is known' END) AS reason
      FROM incoming AS i
      LEFT JOIN (SELECT n, bool_or(why IS NULL) AS used, min(why) AS why FROM marks GROUP BY n) AS m
        ON m.n = i.n
      WHERE NOT coalesce(m.used, false))
GROUP BY reason;
