-- OTLP JSON: one export on a line, or its resourceSpans one by one; both spellings of the names.

-- name: staged
-- Each span once, with its attributes as a list of keys and values.
CREATE OR REPLACE TEMP TABLE staged AS
WITH resources AS (
  SELECT n, unnest(coalesce(from_json(line -> '$.resourceSpans', '["JSON"]'),
                            from_json(line -> '$.resource_spans', '["JSON"]'),
                            from_json(line -> '$.batches', '["JSON"]'), [line::JSON])) AS r
  FROM incoming
  WHERE is_json AND (contains(line, '"scopeSpans"') OR contains(line, '"scope_spans"')
                     OR contains(line, '"instrumentationLibrarySpans"'))),
scopes AS (
  SELECT n, coalesce(r -> '$.resource.attributes', '[]'::JSON) AS resource,
         unnest(coalesce(from_json(r -> '$.scopeSpans', '["JSON"]'),
                         from_json(r -> '$.scope_spans', '["JSON"]'),
                         from_json(r -> '$.instrumentationLibrarySpans', '["JSON"]'))) AS s
  FROM resources),
spanned AS (SELECT n, resource, unnest(from_json(s -> '$.spans', '["JSON"]')) AS span FROM scopes)
SELECT n, resource, span, v,
       CASE WHEN coalesce(moment(v[5]), moment(v[6])) IS NULL THEN 'a span without a time'
            WHEN coalesce(v[1], v[2]) IS NULL THEN 'a span without an id' END AS why
FROM (SELECT n, resource, span,
             span ->> ['$.spanId', '$.span_id', '$.traceId', '$.trace_id', '$.startTimeUnixNano',
                       '$.start_time_unix_nano', '$.endTimeUnixNano', '$.end_time_unix_nano',
                       '$.parentSpanId', '$.parent_span_id', '$.name', '$.status.code',
                       '$.status.message', '$.attributes', '$.events'] AS v
      FROM spanned);

-- name: flattened
-- Attributes as one JSON object of texts, keys in lower case; the first of a list stands for it.
CREATE OR REPLACE TEMP MACRO flat(pairs) AS to_json(map_from_entries(list_distinct(list_transform(
  list_filter(from_json(pairs, '[{"key":"VARCHAR","value":"JSON"}]'), lambda x: x.key IS NOT NULL),
  lambda x: {k: lower(x.key), v: coalesce(
    x.value ->> '$.stringValue', x.value ->> '$.string_value', x.value ->> '$.intValue',
    x.value ->> '$.int_value', x.value ->> '$.doubleValue', x.value ->> '$.double_value',
    x.value ->> '$.boolValue', x.value ->> '$.bool_value',
    x.value ->> '$.arrayValue.values[0].stringValue',
    x.value ->> '$.array_value.values[0].string_value',
    x.value ->> '$.arrayValue.values[0].intValue', x.value::VARCHAR)}))))::VARCHAR;

-- name: spans
-- What of each span is needed once the whole of its trace is known.
INSERT INTO spans
SELECT $source, coalesce(v[3], v[4]), coalesce(v[1], v[2]), filled(coalesce(v[9], v[10])),
       coalesce(moment(v[5]), moment(v[6])), coalesce(moment(v[7]), moment(v[8])), v[11],
       flat(coalesce(v[14], '[]')), v[12] IN ('2', 'STATUS_CODE_ERROR') , filled(v[13]),
       flat(resource) ->> '$."tenant.id"',
       event ->> '$."exception.type"', event ->> '$."exception.message"'
FROM (SELECT resource, v,
             flat(list_filter(from_json(coalesce(v[15], '[]'),
                                        '[{"name":"VARCHAR","attributes":"JSON"}]'),
                              lambda e: e.name = 'exception')[-1].attributes) AS event
      FROM staged WHERE why IS NULL);
