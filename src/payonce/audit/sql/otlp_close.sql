-- What the spans of all files say, once they are all there.

-- name: deliveries
-- A span with a queue's header, or with a message's id, is a delivery.
INSERT INTO deliveries
SELECT source, 'otlp', 'span:' || source || ':' || trace || ':' || span, last_part(coalesce(a[1], a[2], a[3], a[4])),
       CASE WHEN a[1] IS NOT NULL THEN 'cloud-tasks' WHEN a[2] IS NOT NULL THEN 'celery'
            ELSE coalesce(a[9], 'queue') END,
       whole(a[5]) + 1, began, ended,
       coalesce(failed_status(a[6]), failed_status(a[7]),
                CASE WHEN failed THEN true WHEN ended IS NOT NULL THEN false END),
       coalesce(a[6], a[7], CASE WHEN failed THEN 'ERROR' END), trace, coalesce(a[8], name),
       coalesce(a[10], a[11], tenant), NULL
FROM (SELECT *, attributes ->> ['$."http.request.header.x-cloudtasks-taskname"',
                                '$."celery.task_id"', '$."messaging.message.id"',
                                '$."messaging.message_id"',
                                '$."http.request.header.x-cloudtasks-taskretrycount"',
                                '$."http.response.status_code"', '$."http.status_code"',
                                '$."url.path"', '$."messaging.system"', '$."tenant.id"',
                                '$."payonce.tenant"'] AS a
      FROM spans
      WHERE contains(attributes, 'x-cloudtasks-taskname') OR contains(attributes, 'celery.task_id')
         OR (contains(attributes, 'messaging.message')
             AND regexp_matches(attributes, '"messaging.operation(.type)?":"(process|receive)"')));

-- name: calls
-- A client's span of a model's answer; one inside of another stands for the same call, and an
-- answer that payonce has replayed is none.
INSERT INTO calls
SELECT c.source, 'otlp', coalesce(a[1], c.source || ':' || c.trace || ':' || c.span), NULL, NULL, c.trace,
       c.began, coalesce(a[2], a[3]), coalesce(a[4], a[5]),
       NOT coalesce(c.failed, false) AND a[6] IS NULL,
       coalesce(spent(a[11]), spent(a[12]), spent(a[13])), 'USD',
       coalesce(whole(a[7]), whole(a[8])), coalesce(whole(a[9]), whole(a[10])),
       md5(coalesce(filled(a[14]), filled(a[15]), filled(a[16]))), coalesce(a[17], a[19], c.tenant),
       (SELECT nullif(count(*), 0) - 1 FROM spans AS h
        WHERE h.source = c.source AND h.trace = c.trace AND h.parent = c.span
          AND contains(h.attributes, '"http.request.method":"POST"'))
FROM (SELECT *, attributes ->> ['$."gen_ai.response.id"', '$."gen_ai.provider.name"',
                                '$."gen_ai.system"', '$."gen_ai.response.model"',
                                '$."gen_ai.request.model"', '$."error.type"',
                                '$."gen_ai.usage.input_tokens"', '$."gen_ai.usage.prompt_tokens"',
                                '$."gen_ai.usage.output_tokens"',
                                '$."gen_ai.usage.completion_tokens"',
                                '$."gen_ai.usage.cost.amount"', '$."gen_ai.usage.cost"',
                                '$."operation.cost"', '$."gen_ai.input.messages"',
                                '$."gen_ai.prompt"', '$."gen_ai.prompt.0.content"',
                                '$."tenant.id"', '$."gen_ai.operation.name"',
                                '$."payonce.tenant"'] AS a
      FROM spans WHERE contains(attributes, '"gen_ai.')) AS c
WHERE coalesce(a[18], 'chat') NOT IN ('invoke_agent', 'create_agent', 'execute_tool',
                                      'invoke_workflow', 'retrieval')
  AND NOT contains(c.attributes, '"payonce.replayed":"true"')
  AND coalesce(a[4], a[5]) IS NOT NULL
  AND NOT EXISTS (FROM spans AS i WHERE i.source = c.source AND i.trace = c.trace
                  AND i.parent = c.span AND contains(i.attributes, '"gen_ai.request.model"'));

-- name: errors
-- Exceptions that spans recorded; without one, what its status says.
INSERT INTO errors
SELECT source, NULL, NULL, trace, began,
       coalesce(nullif(concat_ws(': ', exception_type, exception_message), ''), message)
FROM spans WHERE failed AND coalesce(exception_type, exception_message, message) IS NOT NULL;
