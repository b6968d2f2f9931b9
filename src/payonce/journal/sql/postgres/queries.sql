-- Named queries of the PostgreSQL journal; a name means the same in every dialect.
--
-- Where SQLite writes several statements in one transaction, here one statement does it all, for
-- each statement is a round trip to another machine. So these names are missing:
--   take_lease   differs because it also does what trouble, find_run_by_id, run_id_of,
--                last_step_of_run, lose_attempt, doubt_open_calls, add_attempt and add_delivery do
--                there
--   lock_job     differs because SQLite has one writer at a time anyway
--   claim        differs because it also does what drop_claims does there
--   add_intent   differs because it also does what budgets_version does there
--   hold_intent  differs because it also does what find_balance, cost_lately, reserve and add_hold
--                do there
--   lock_making, lock_counting, lock_balances and lock_dead_holds differ because SQLite has one writer at
--                a time
--   lock_budgets differs because SQLite has one writer at a time anyway
--   close_run    differs because it also does what close_attempt, doubt_open_calls,
--                answer_delivery, set_drift and add_payload do there
--   complete_call differs because it also does what add_payload does there
--   complete_late differs because it also does what add_payload, drop_last_payload, wake_answered,
--                add_spilled_call and find_call_place do there
-- The clock is the database's own, so that all machines agree on when a lease has run out;
-- %(now)s is NULL but in tests. %(soft)s lets a commit not wait for the disk: it is false where
-- the same commit holds something that must survive the machine.

-- name: find_run
-- A delivery of a run that is parked or done costs this one read; it also tells the time.
SELECT runs.*, payloads.codec AS result_codec, payloads.body AS result_body,
    extract(epoch FROM clock_timestamp())::float8 AS clock
FROM payonce_runs AS runs
LEFT JOIN payonce_payloads AS payloads ON payloads.id = runs.result_id
WHERE runs.job = %(job)s AND runs.key = %(key)s;

-- name: add_run
-- Two first deliveries at once make one run: the second insert does nothing.
INSERT INTO payonce_runs
    (job, key, tenant, state, arguments, arguments_fingerprint, created_at, updated_at)
SELECT %(job)s, %(key)s, %(tenant)s, 'waiting', %(arguments)s, %(arguments_fingerprint)s,
    clock.now, clock.now
FROM (SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now)
    AS clock
ON CONFLICT (job, key) DO NOTHING;

-- name: lock_job
-- Whoever knows that a job is in trouble opens its runs one after the other, so that what was
-- counted holds. Differs because SQLite has one writer at a time anyway.
SELECT pg_advisory_xact_lock(hashtextextended('payonce ' || %(job)s, 0));

-- name: take_lease
-- Compare and swap on what was seen; a running run is taken only from an expired or dead holder,
-- and none if more is wrong with the job in this world than is known.
-- A row that somebody else has locked is as good as taken: nobody waits for it. With the lease
-- the attempt before ends without a word, and what it had in flight is in doubt. OFFSET 0 keeps
-- the planner from looking for a run's last call from the end of the whole table.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
), proven AS MATERIALIZED (
    SELECT max(updated_at) AS at FROM payonce_runs
    WHERE %(asks)s::boolean AND job = %(job)s AND world_code = %(world_code)s
        AND world_schema = %(world_schema)s AND state = 'done'
), cause AS MATERIALIZED (
    SELECT max(id) AS id, count(*) AS failed, max(updated_at) AS last FROM payonce_runs
    WHERE %(asks)s::boolean AND job = %(job)s AND world_code = %(world_code)s
        AND world_schema = %(world_schema)s
        AND held = 0 AND state <> 'done' AND wakes_on NOT IN ('input', 'budget')
        AND (kind = 'deterministic' OR (kind = 'unknown' AND state = 'parked'))
        AND updated_at > coalesce((SELECT at FROM proven), -1)
    GROUP BY fingerprint ORDER BY 2 DESC, 3 DESC LIMIT 1
), trouble AS MATERIALIZED (
    SELECT coalesce(cause.failed, 0) AS failed, cause.last, proven.at IS NOT NULL AS proven,
        runs.kind, runs.reason, runs.evidence, runs.fingerprint, runs.wakes_on,
        CASE WHEN cause.failed > 0 OR (%(asks)s::boolean AND %(cautious)s::boolean) THEN (
            SELECT count(*) FROM payonce_runs AS others
            JOIN payonce_attempts AS a ON a.run_id = others.id AND a.number = others.attempt
            CROSS JOIN clock
            WHERE others.state = 'running' AND others.job = %(job)s AND others.key <> %(key)s
                AND others.lease_until > clock.now
                AND a.world_code = %(world_code)s AND a.world_schema = %(world_schema)s
        ) ELSE 0 END AS in_flight
    FROM proven LEFT JOIN cause ON true LEFT JOIN payonce_runs AS runs ON runs.id = cause.id
), seen AS MATERIALIZED (
    SELECT runs.id, CASE WHEN runs.lease_owner IS NOT NULL THEN coalesce(
        (SELECT calls.name FROM (
            SELECT c.id, c.name FROM payonce_calls AS c WHERE c.run_id = runs.id OFFSET 0
        ) AS calls ORDER BY calls.id DESC LIMIT 1), 'before its first step') END AS place
    FROM payonce_runs AS runs, clock, trouble
    WHERE runs.job = %(job)s AND runs.key = %(key)s AND runs.state = %(seen_state)s
        AND runs.attempt = %(seen_attempt)s
        AND (NOT %(asks)s::boolean OR CASE WHEN %(known_failed)s::bigint IS NULL
            THEN trouble.failed = 0
                AND (NOT %(cautious)s::boolean OR trouble.proven OR trouble.in_flight = 0)
            ELSE trouble.failed = %(known_failed)s::bigint
                AND trouble.in_flight = %(known_in_flight)s::bigint END)
        AND (runs.state <> 'running' OR runs.lease_until <= clock.now
            OR runs.lease_owner = %(dead_owner)s::text)
    FOR NO KEY UPDATE OF runs SKIP LOCKED
), taken AS (
    UPDATE payonce_runs AS runs
    SET state = 'running', attempt = runs.attempt + 1,
        tries = CASE WHEN %(woken)s::boolean THEN 1 ELSE runs.tries + 1 END,
        kills = CASE WHEN seen.place IS NULL THEN 0
            WHEN runs.killed_at = seen.place THEN runs.kills + 1 ELSE 1 END,
        killed_at = seen.place, lease_owner = %(owner)s, lease_until = clock.now + %(lease)s::float8,
        retry_at = NULL, updated_at = clock.now
    FROM seen, clock
    WHERE runs.id = seen.id
    RETURNING runs.*
), lost AS (
    UPDATE payonce_attempts AS attempts
    SET outcome = 'lost', ended_at = clock.now, at_step = taken.killed_at
    FROM taken, clock
    WHERE attempts.run_id = taken.id AND attempts.number = taken.attempt - 1
        AND attempts.outcome IS NULL
), doubted AS (
    UPDATE payonce_calls AS calls
    SET state = 'in_doubt', reason = %(lost)s, ended_at = clock.now
    FROM taken, clock
    WHERE calls.run_id = taken.id AND calls.state = 'intended'
), begun AS (
    INSERT INTO payonce_attempts (run_id, number, owner, world_code, world_schema, started_at)
    SELECT taken.id, taken.attempt, %(owner)s, %(world_code)s, %(world_schema)s, clock.now
    FROM taken, clock
), noted AS (
    INSERT INTO payonce_deliveries
        (run_id, attempt, at, queue, message, retry_count, previous_response, user_agent)
    SELECT taken.id, taken.attempt, clock.now, %(queue)s, %(message)s, %(retry_count)s::bigint,
        %(previous_response)s, %(user_agent)s
    FROM taken, clock
)
SELECT taken.*, payloads.codec AS result_codec, payloads.body AS result_body,
    trouble.failed, trouble.last AS last_failed, trouble.proven, trouble.in_flight,
    trouble.kind AS cause_kind, trouble.reason AS cause_reason,
    trouble.evidence AS cause_evidence, trouble.fingerprint AS cause_fingerprint,
    trouble.wakes_on AS cause_wakes_on
FROM trouble LEFT JOIN taken ON true
LEFT JOIN payonce_payloads AS payloads ON payloads.id = taken.result_id;

-- name: hold_run
-- A run is set aside at the door, for the cause that others have failed by; nothing was paid.
UPDATE payonce_runs AS runs
SET state = 'parked', held = 1, retry_at = NULL, reason = %(reason)s, kind = %(kind)s,
    evidence = %(evidence)s, fingerprint = %(fingerprint)s, wakes_on = %(wakes_on)s,
    world_code = %(world_code)s, world_schema = %(world_schema)s,
    updated_at = coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
WHERE job = %(job)s AND key = %(key)s AND state = %(seen_state)s AND attempt = %(seen_attempt)s
    AND state IN ('waiting', 'parked')
RETURNING runs.*, NULL::text AS result_codec, NULL::bytea AS result_body;

-- name: claim
-- One of all has a named right until a moment; whoever has it may prolong it.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
), dropped AS (
    DELETE FROM payonce_claims AS claims USING clock
    WHERE claims.until <= clock.now - 86400 AND claims.name <> %(name)s
)
INSERT INTO payonce_claims AS claims (name, owner, until)
SELECT %(name)s, %(owner)s, clock.now + %(lease)s::float8 FROM clock
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE claims.until <= (SELECT now FROM clock) OR claims.owner = excluded.owner
RETURNING name;

-- name: add_delivery
-- Every arrival is kept, with what its queue said of itself.
INSERT INTO payonce_deliveries
    (run_id, attempt, at, queue, message, retry_count, previous_response, user_agent, answer)
VALUES (%(run_id)s, %(attempt)s::bigint,
    coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8), %(queue)s,
    %(message)s, %(retry_count)s::bigint, %(previous_response)s, %(user_agent)s, %(answer)s)
RETURNING CASE WHEN %(soft)s::boolean THEN set_config('synchronous_commit', 'off', true) END;

-- name: renew_lease
-- Fenced: only the attempt that holds the lease may prolong it. Differs because a run that is being
-- completed inside its job's own transaction is locked until that ends, and still held.
WITH held AS MATERIALIZED (
    SELECT id FROM payonce_runs
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND state = 'running'
    FOR NO KEY UPDATE SKIP LOCKED
), renewed AS (
    UPDATE payonce_runs AS runs
    SET lease_until = %(lease)s::float8
        + coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
    FROM held
    WHERE runs.id = held.id
    RETURNING CASE WHEN %(soft)s::boolean THEN set_config('synchronous_commit', 'off', true) END
)
SELECT extract(epoch FROM clock_timestamp())::float8 AS clock,
    EXISTS (SELECT FROM renewed) OR EXISTS (
        SELECT FROM payonce_runs
        WHERE id = %(run_id)s AND attempt = %(attempt)s AND state = 'running') AS kept;

-- name: close_run
-- Fenced: an attempt that lost its lease can't move the run.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
), ours AS MATERIALIZED (
    SELECT id, attempt FROM payonce_runs
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND state = 'running'
    FOR NO KEY UPDATE
), answer AS (
    INSERT INTO payonce_payloads (codec, body)
    SELECT %(codec)s::text, %(body)s::bytea FROM ours WHERE %(codec)s::text IS NOT NULL
    RETURNING id
), closed AS (
    UPDATE payonce_runs AS runs
    SET state = %(state)s, lease_owner = NULL, lease_until = NULL, retry_at = %(retry_at)s::float8,
        kills = 0, killed_at = NULL, reason = %(reason)s, kind = %(kind)s, evidence = %(evidence)s,
        fingerprint = %(fingerprint)s, wakes_on = %(wakes_on)s, world_code = %(world_code)s,
        world_schema = %(world_schema)s, held = 0, updated_at = clock.now,
        result_id = coalesce((SELECT id FROM answer), runs.result_id)
    FROM ours, clock
    WHERE runs.id = ours.id
), ended AS (
    UPDATE payonce_attempts AS attempts
    SET outcome = %(outcome)s, ended_at = clock.now, kind = %(kind)s, reason = %(reason)s,
        error = %(error)s, fingerprint = %(fingerprint)s, at_step = %(at_step)s
    FROM ours, clock
    WHERE attempts.run_id = ours.id AND attempts.number = ours.attempt
        AND attempts.outcome IS NULL
), doubted AS (
    UPDATE payonce_calls AS calls
    SET state = 'in_doubt', reason = %(outlived)s, ended_at = clock.now
    FROM ours, clock
    WHERE calls.run_id = ours.id AND calls.state = 'intended'
), drifted AS (
    UPDATE payonce_calls AS calls SET drift = told.drift
    FROM ours, unnest(%(drifted)s::bigint[], %(drifts)s::text[]) AS told (call_id, drift)
    WHERE calls.id = told.call_id AND calls.run_id = ours.id AND calls.drift IS NULL
        AND calls.state <> 'intended'
), answered AS (
    UPDATE payonce_deliveries AS deliveries SET answer = %(answer)s
    FROM ours
    WHERE deliveries.run_id = ours.id AND deliveries.attempt = ours.attempt
        AND deliveries.answer IS NULL
)
SELECT id FROM ours;

-- name: set_result
-- A run completed inside the user's own transaction gets its value afterwards.
WITH ours AS MATERIALIZED (
    SELECT id FROM payonce_runs
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND state = 'done' AND result_id IS NULL
    FOR NO KEY UPDATE
), answer AS (
    INSERT INTO payonce_payloads (codec, body)
    SELECT %(codec)s::text, %(body)s::bytea FROM ours
    RETURNING id
)
UPDATE payonce_runs AS runs
SET result_id = answer.id,
    updated_at = coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
FROM ours, answer
WHERE runs.id = ours.id
RETURNING runs.id;

-- name: wake_run
-- A person's word: the run may go on at once, whatever the world looks like.
UPDATE payonce_runs
SET state = 'waiting', retry_at = NULL, tries = 0, kills = 0,
    updated_at = coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
WHERE id = %(run_id)s AND attempt = %(attempt)s AND state = 'parked'
RETURNING id;

-- name: add_intent
-- Fenced and in time: no call is made by an attempt that lost its lease or let it expire. Where budgets
-- have been set since, it is asked again with the knowledge of them. Differs because it also does what
-- budgets_version does on SQLite.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
), told AS MATERIALIZED (
    SELECT coalesce(max(version), 0) AS version FROM payonce_budgets
), added AS (
    INSERT INTO payonce_calls
        (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, model,
         idempotency_key, drift, started_at, ceiling_nanos, hold_currency)
    SELECT runs.id, runs.attempt, %(step_key)s, %(occurrence)s, %(send)s, %(name)s, %(source)s,
        %(parent_id)s::bigint, 'intended', %(model)s, %(idempotency_key)s, %(drift)s,
        clock.now, %(ceiling_nanos)s::bigint, %(hold_currency)s
    FROM payonce_runs AS runs, clock, told
    WHERE runs.id = %(run_id)s AND runs.attempt = %(attempt)s AND runs.state = 'running'
        AND runs.lease_until > clock.now AND told.version = %(told)s
    RETURNING id
)
SELECT added.id AS call_id, told.version,
    CASE WHEN %(soft)s::boolean THEN set_config('synchronous_commit', 'off', true) END
FROM told LEFT JOIN added ON true;

-- name: complete_call
-- The usual way: nothing has become of the call since its intent. No run waits for it, for what is
-- still intended when a run is closed is in doubt by that.
WITH ours AS MATERIALIZED (
    SELECT id FROM payonce_calls
    WHERE run_id = %(run_id)s AND step_key = %(step_key)s AND occurrence = %(occurrence)s
        AND send = %(send)s AND attempt = %(attempt)s AND state = 'intended'
    FOR NO KEY UPDATE
), answer AS (
    INSERT INTO payonce_payloads (codec, body)
    SELECT %(codec)s::text, %(body)s::bytea FROM ours
    RETURNING id
)
UPDATE payonce_calls AS calls
SET state = 'paid', answer_id = answer.id, model = coalesce(%(model)s, calls.model),
    usage = %(usage)s, cost_nanos = %(cost_nanos)s::bigint, currency = %(currency)s,
    ended_at = coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
FROM ours, answer
WHERE calls.id = ours.id
RETURNING CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', true) END;

-- name: complete_late
-- Not fenced: a receipt that comes late is kept, never refused; the first receipt stays. A call is
-- found by its place, and made anew where it is gone: an intent doesn't wait for the disk, so a
-- crash of the database may take it away, and its number may be given out again. Where another
-- attempt has taken the place meanwhile, the receipt gets the next one, and a spilled receipt that
-- is merged twice gets it once. A receipt that a person told of wakes no run: that is the next word.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now,
        CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', true) END
), taken AS MATERIALIZED (
    SELECT attempt, state FROM payonce_calls
    WHERE run_id = %(run_id)s AND step_key = %(step_key)s AND occurrence = %(occurrence)s
        AND send = %(send)s
), place AS MATERIALIZED (
    SELECT CASE WHEN (SELECT attempt FROM taken) <> %(attempt)s THEN (
        SELECT max(c.send) + 1 FROM payonce_calls AS c
        WHERE c.run_id = %(run_id)s AND c.step_key = %(step_key)s
            AND c.occurrence = %(occurrence)s
    ) ELSE %(send)s END AS send
    WHERE NOT EXISTS (SELECT FROM taken WHERE attempt = %(attempt)s AND state = 'paid')
        AND ((SELECT attempt FROM taken) = %(attempt)s OR NOT EXISTS (
            SELECT FROM payonce_calls AS c, clock
            WHERE c.run_id = %(run_id)s AND c.step_key = %(step_key)s
                AND c.occurrence = %(occurrence)s AND c.attempt = %(attempt)s
                AND c.state = 'paid' AND c.ended_at = clock.now))
), answer AS (
    INSERT INTO payonce_payloads (codec, body)
    SELECT %(codec)s::text, %(body)s::bytea FROM place
    RETURNING id
), paid AS (
    INSERT INTO payonce_calls AS calls
        (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, model,
         idempotency_key, drift, started_at, ended_at, answer_id, usage, cost_nanos, currency,
         ceiling_nanos, hold_currency)
    SELECT %(run_id)s, %(attempt)s, %(step_key)s, %(occurrence)s, place.send, %(name)s, %(source)s,
        %(parent_id)s::bigint, 'paid', %(model)s, %(idempotency_key)s, %(drift)s, clock.now,
        clock.now, answer.id, %(usage)s, %(cost_nanos)s::bigint, %(currency)s,
        %(ceiling_nanos)s::bigint, %(hold_currency)s
    FROM place, answer, clock
    ON CONFLICT (run_id, step_key, occurrence, send) DO UPDATE
    SET state = 'paid', answer_id = excluded.answer_id,
        model = coalesce(excluded.model, calls.model), usage = excluded.usage,
        cost_nanos = excluded.cost_nanos, currency = excluded.currency,
        ended_at = excluded.ended_at,
        reason = CASE WHEN calls.resolution IS NULL THEN NULL ELSE calls.reason END
    WHERE calls.state <> 'paid' AND calls.attempt = excluded.attempt
    RETURNING calls.run_id
)
UPDATE payonce_runs AS runs
SET state = 'waiting', retry_at = NULL, tries = 0, kills = 0, updated_at = clock.now
FROM paid, clock
WHERE runs.id = paid.run_id AND runs.state = 'parked' AND runs.evidence = 'InDoubt'
    AND %(wakes)s::boolean;

-- name: end_call
-- Without a receipt: released or in doubt. A receipt that is there already wins. Differs because it
-- finds the call by its place, as complete_call does, and for the same reason; a doubt whose place
-- another attempt has taken gets the next one.
WITH taken AS MATERIALIZED (
    SELECT attempt FROM payonce_calls
    WHERE run_id = %(run_id)s AND step_key = %(step_key)s AND occurrence = %(occurrence)s
        AND send = %(send)s
), place AS MATERIALIZED (
    SELECT CASE WHEN (SELECT attempt FROM taken) <> %(attempt)s THEN (
        SELECT max(c.send) + 1 FROM payonce_calls AS c
        WHERE c.run_id = %(run_id)s AND c.step_key = %(step_key)s
            AND c.occurrence = %(occurrence)s
    ) ELSE %(send)s END AS send
    WHERE %(state)s::text = 'in_doubt'
        OR NOT EXISTS (SELECT FROM taken WHERE attempt <> %(attempt)s)
)
INSERT INTO payonce_calls AS calls
    (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, reason, model,
     idempotency_key, drift, started_at, ended_at, ceiling_nanos, hold_currency)
SELECT %(run_id)s, %(attempt)s, %(step_key)s, %(occurrence)s, place.send, %(name)s, %(source)s,
    %(parent_id)s::bigint, %(state)s, %(reason)s, %(model)s, %(idempotency_key)s, %(drift)s,
    clock.now, clock.now, %(ceiling_nanos)s::bigint, %(hold_currency)s
FROM place,
    (SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now)
    AS clock
ON CONFLICT (run_id, step_key, occurrence, send) DO UPDATE
SET state = excluded.state, reason = excluded.reason,
    ended_at = CASE WHEN calls.state = excluded.state THEN calls.ended_at
        ELSE excluded.ended_at END
WHERE calls.state IN ('intended', 'in_doubt') AND calls.attempt = excluded.attempt
RETURNING CASE WHEN %(soft)s::boolean THEN set_config('synchronous_commit', 'off', true) END;

-- name: reject_call
-- The receipt stays, as waste; the step may be asked again.
UPDATE payonce_calls SET rejected = 1, reason = %(reason)s
WHERE id = %(call_id)s AND state = 'paid';

-- name: resolve_call
-- A person's word on a call in doubt, or on an answer that can't be rebuilt.
UPDATE payonce_calls
SET resolution = %(resolution)s, reason = %(reason)s,
    state = CASE WHEN %(resolution)s::text = 'did_not_happen' THEN 'released' ELSE state END,
    rejected = CASE WHEN %(resolution)s::text = 'pay_again' AND state = 'paid' THEN 1
        ELSE rejected END
WHERE id = %(call_id)s
    AND (state = 'in_doubt' OR (state = 'paid' AND %(resolution)s::text = 'pay_again'))
RETURNING id;

-- name: calls_of_run
-- All that a run knows of its calls, with every answer: replay is then a dict look-up.
SELECT calls.*, payloads.codec AS answer_codec, payloads.body AS answer_body
FROM payonce_calls AS calls
LEFT JOIN payonce_payloads AS payloads ON payloads.id = calls.answer_id
WHERE calls.run_id = %(run_id)s
ORDER BY calls.step_key, calls.occurrence, calls.send;

-- name: call_by_id
-- One call, for a person to look at or to resolve.
SELECT calls.*, payloads.codec AS answer_codec, payloads.body AS answer_body
FROM payonce_calls AS calls
LEFT JOIN payonce_payloads AS payloads ON payloads.id = calls.answer_id
WHERE calls.id = %(call_id)s;

-- name: list_runs
-- The newest first; a NULL filter lets everything through. What is listed is chosen before anything
-- is counted. A step that only made captured calls, and has no cost of its own, is not counted
-- beside them: it is their parent.
SELECT runs.*, NULL::text AS result_codec, NULL::bytea AS result_body,
    (SELECT count(*) FROM payonce_deliveries AS d WHERE d.run_id = runs.id) AS deliveries,
    (SELECT count(*) FROM payonce_calls AS c WHERE c.run_id = runs.id AND c.state = 'paid')
    - (SELECT count(DISTINCT outer_.id)
        FROM payonce_calls AS c JOIN payonce_calls AS outer_ ON outer_.id = c.parent_id
        WHERE c.run_id = runs.id AND outer_.source = 'step' AND outer_.state = 'paid'
            AND outer_.cost_nanos IS NULL) AS paid,
    (SELECT count(*) FROM payonce_calls AS c
     WHERE c.run_id = runs.id AND c.state = 'in_doubt' AND c.resolution IS NULL)
    - (SELECT count(DISTINCT outer_.id)
        FROM payonce_calls AS c JOIN payonce_calls AS outer_ ON outer_.id = c.parent_id
        WHERE c.run_id = runs.id AND outer_.source = 'step' AND outer_.state = 'in_doubt'
            AND outer_.resolution IS NULL) AS in_doubt,
    (SELECT count(*) FROM payonce_calls AS c WHERE c.run_id = runs.id AND c.rejected = 1)
        AS rejected,
    (SELECT string_agg(sum.currency || ' ' || sum.nanos || ' ' || sum.calls, ',')
     FROM (SELECT c.currency, sum(c.cost_nanos) AS nanos, count(*) AS calls
           FROM payonce_calls AS c
           WHERE c.run_id = runs.id AND c.state = 'paid' AND c.cost_nanos IS NOT NULL
           GROUP BY c.currency) AS sum) AS costs
FROM (
    SELECT * FROM payonce_runs
    WHERE (%(state)s::text IS NULL OR state = %(state)s)
        AND (%(job)s::text IS NULL OR job = %(job)s) AND (%(key)s::text IS NULL OR key = %(key)s)
        AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
        AND (%(run_id)s::bigint IS NULL OR id = %(run_id)s)
    ORDER BY updated_at DESC, id DESC
    LIMIT %(limit)s
) AS runs
ORDER BY runs.updated_at DESC, runs.id DESC;

-- name: wakeable_runs
-- What a look calls again. Parked runs that this world may wake: they were parked in another one,
-- held at the door, or are due for a probe. Runs that only lack a delivery: at once where none is
-- to come, for no queue has them, else once they are overdue. By state first, for most runs are
-- done; the counts of a list are not needed.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
)
SELECT runs.*, NULL::text AS result_codec, NULL::bytea AS result_body, 0 AS deliveries, 0 AS paid,
    0 AS in_doubt, 0 AS rejected, NULL::text AS costs
FROM payonce_runs AS runs CROSS JOIN clock
WHERE runs.state IN ('parked', 'waiting', 'running') AND runs.job = %(job)s
    AND runs.id + 0 > %(after)s::bigint
    AND CASE WHEN runs.state = 'parked' THEN
        runs.held = 1 OR runs.retry_at <= clock.now
            OR runs.world_code IS DISTINCT FROM %(world_code)s
            OR runs.world_schema IS DISTINCT FROM %(world_schema)s
    ELSE
        coalesce(runs.lease_until, runs.retry_at, runs.updated_at) <= clock.now - CASE WHEN EXISTS (
            SELECT 1 FROM payonce_deliveries AS d
            WHERE d.run_id = runs.id AND d.attempt = runs.attempt
                AND d.queue IN ('wake', 'lookout')
        ) THEN 0 ELSE %(overdue)s::float8 END
    END
ORDER BY runs.id + 0
LIMIT %(limit)s;

-- name: budgets
-- The limits that people have set; few, and read whole.
SELECT * FROM payonce_budgets ORDER BY scope, name, per, currency;

-- name: lock_budgets
-- Limits are set one after the other, so that their versions grow. Differs because SQLite has one
-- writer at a time anyway.
SELECT pg_advisory_xact_lock(hashtextextended('payonce budgets', 0));

-- name: set_budget
-- A person's word on a limit, over what the code says; NULL lifts it, cleared takes it back.
INSERT INTO payonce_budgets (scope, name, per, currency, nanos, set_at, version, cleared)
SELECT %(scope)s, %(name)s, %(per)s, %(currency)s, %(nanos)s::bigint,
    coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8),
    coalesce(max(version), 0) + 1, %(cleared)s
FROM payonce_budgets
ON CONFLICT (scope, name, per, currency) DO UPDATE
SET nanos = excluded.nanos, set_at = excluded.set_at, version = excluded.version,
    cleared = excluded.cleared;

-- name: let_budgeted_go
-- Runs that were parked by this budget, or for a price that is not known, are looked at again.
UPDATE payonce_runs
SET retry_at = coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8)
WHERE state = 'parked' AND wakes_on LIKE '%%budget'
    AND (fingerprint LIKE 'BudgetReached:' || %(scope)s || ':%%:' || %(per)s || ':' || %(currency)s
        OR fingerprint LIKE 'PriceUnknown:%%')
    AND CASE %(scope)s WHEN 'run' THEN %(name)s IN ('*', job, job || ' ' || key)
        WHEN 'job' THEN %(name)s IN ('*', job) WHEN 'tenant' THEN %(name)s IN ('*', tenant)
        ELSE true END;

-- name: lock_making
-- New balances are made by one transaction at a time: nobody waits for a name that somebody else has
-- taken while that one waits for a lock of his. No receipt is counted meanwhile, for neither would see
-- the other. Differs because SQLite has one writer at a time anyway.
SELECT pg_advisory_xact_lock(hashtextextended('payonce balances', 0));

-- name: lock_counting
-- What payonce_book locks for each receipt, for commits that lock other things before it: whoever makes
-- balances waits for nothing before this. Differs because SQLite has one writer at a time anyway.
SELECT pg_advisory_xact_lock_shared(hashtextextended('payonce balances', 0));

-- name: lock_balances
-- All balances that the writes of one commit will move, in one order, so that two commits never wait
-- for each other. Differs because SQLite has one writer at a time anyway.
SELECT b.id FROM payonce_balances AS b
WHERE b.id IN (
    SELECT named.id
    FROM unnest(%(scopes)s::text[], %(names)s::text[], %(pers)s::text[], %(periods)s::text[],
        %(currencies)s::text[]) AS asked (scope, name, per, period, currency)
    JOIN payonce_balances AS named ON named.scope = asked.scope AND named.name = asked.name
        AND named.per = asked.per AND named.period = asked.period
        AND named.currency = asked.currency
    UNION ALL
    SELECT holds.balance_id FROM payonce_holds AS holds
    WHERE holds.call_id = ANY (%(calls)s::bigint[])
    UNION ALL
    SELECT holds.balance_id
    FROM payonce_calls AS calls JOIN payonce_holds AS holds ON holds.call_id = calls.id
    WHERE calls.run_id = ANY (%(runs)s::bigint[]))
ORDER BY b.id
FOR NO KEY UPDATE;

-- name: add_balance
-- A balance begins with what the ledger knows of its period. Differs because all limits of a call are
-- given at once.
INSERT INTO payonce_balances (scope, name, per, period, currency, limit_nanos, spent, doubt)
SELECT asked.scope, asked.name, asked.per, asked.period, %(hold_currency)s, asked.nanos,
    coalesce(known.spent, 0), coalesce(known.doubt, 0)
FROM unnest(%(scopes)s::text[], %(names)s::text[], %(pers)s::text[], %(periods)s::text[],
    %(sinces)s::float8[], %(limits)s::bigint[])
    AS asked (scope, name, per, period, since, nanos),
LATERAL (
    SELECT sum(nanos) FILTER (WHERE kind = 'settle')::bigint AS spent,
        sum(nanos) FILTER (WHERE kind = 'doubt')::bigint AS doubt
    FROM (
        SELECT kind, nanos FROM payonce_entries
        WHERE asked.scope = 'run' AND run_id = %(run_id)s AND currency = %(hold_currency)s
            AND began >= asked.since
        UNION ALL
        SELECT kind, nanos FROM payonce_entries
        WHERE asked.scope <> 'run' AND at >= asked.since AND currency = %(hold_currency)s
            AND began >= asked.since
            AND (asked.scope = 'app' OR (asked.scope = 'job' AND job = asked.name)
                OR (asked.scope = 'tenant' AND tenant = asked.name))
    ) AS entries
) AS known
WHERE NOT EXISTS (
    SELECT FROM payonce_balances AS b
    WHERE b.scope = asked.scope AND b.name = asked.name AND b.per = asked.per
        AND b.period = asked.period AND b.currency = %(hold_currency)s)
ORDER BY asked.scope, asked.name, asked.per, asked.period
ON CONFLICT (scope, name, per, period, currency) DO NOTHING;

-- name: hold_intent
-- An intent that budgets have a say in: their balances are locked in one order, so that nobody holds
-- what somebody else has, and the call is written down only where the amount is left of each, and
-- only in the periods that it is held in. See `reserve` in payonce.budget for what a call is held for
-- whose ceiling is not known. Differs because one statement also does what budgets_version,
-- find_balance, cost_lately, reserve and add_hold do on SQLite.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now
), told AS MATERIALIZED (
    SELECT coalesce(max(version), 0) AS version FROM payonce_budgets
), locked AS MATERIALIZED (
    SELECT b.*, asked.nanos
    FROM unnest(%(scopes)s::text[], %(names)s::text[], %(pers)s::text[], %(periods)s::text[],
        %(limits)s::bigint[]) AS asked (scope, name, per, period, nanos)
    JOIN payonce_balances AS b ON b.scope = asked.scope AND b.name = asked.name
        AND b.per = asked.per AND b.period = asked.period AND b.currency = %(hold_currency)s
    ORDER BY b.id
    FOR NO KEY UPDATE OF b
), there AS MATERIALIZED (
    SELECT count(*) = cardinality(%(limits)s::bigint[]) AND %(since)s::float8 <= clock.now
        AND (%(until)s::float8 IS NULL OR clock.now < %(until)s::float8) AS are_all
    FROM clock LEFT JOIN locked ON true GROUP BY clock.now
), lately AS MATERIALIZED (
    SELECT max(nanos) AS nanos FROM (
        SELECT nanos FROM payonce_entries
        WHERE %(ceiling_nanos)s::bigint IS NULL AND kind = 'settle' AND step = %(name)s
            AND currency = %(hold_currency)s AND nanos IS NOT NULL
            AND job = (SELECT job FROM payonce_runs WHERE id = %(run_id)s)
            AND (%(model)s::text IS NULL OR model IS NULL OR starts_with(model, %(model)s))
        ORDER BY id DESC LIMIT 100) AS lately
), tightest AS MATERIALIZED (
    SELECT *, nanos - spent - doubt - held AS rest FROM locked ORDER BY rest, id LIMIT 1
), wanted AS MATERIALIZED (
    SELECT coalesce(%(ceiling_nanos)s::bigint, 2 * lately.nanos) AS ceiling,
        coalesce(%(ceiling_nanos)s::bigint,
            greatest(least(2 * lately.nanos, tightest.rest), lately.nanos, 1)) AS nanos
    FROM lately, tightest
), added AS (
    INSERT INTO payonce_calls
        (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, model,
         idempotency_key, drift, started_at, ceiling_nanos, hold_nanos, hold_currency)
    SELECT runs.id, runs.attempt, %(step_key)s, %(occurrence)s, %(send)s, %(name)s, %(source)s,
        %(parent_id)s::bigint, 'intended', %(model)s, %(idempotency_key)s, %(drift)s,
        clock.now, wanted.ceiling, wanted.nanos, %(hold_currency)s
    FROM payonce_runs AS runs, clock, told, there, wanted, tightest
    WHERE runs.id = %(run_id)s AND runs.attempt = %(attempt)s AND runs.state = 'running'
        AND runs.lease_until > clock.now AND told.version = %(told)s AND there.are_all
        AND tightest.rest >= wanted.nanos
    RETURNING id, hold_nanos
), linked AS (
    INSERT INTO payonce_holds (call_id, balance_id) SELECT added.id, locked.id FROM added, locked
), reserved AS (
    UPDATE payonce_balances AS balances
    SET held = balances.held + added.hold_nanos, limit_nanos = locked.nanos
    FROM added, locked WHERE balances.id = locked.id
)
SELECT added.id AS call_id, told.version, there.are_all, wanted.nanos AS wanted, tightest.*
FROM told CROSS JOIN there
LEFT JOIN tightest ON true LEFT JOIN wanted ON true LEFT JOIN added ON true;

-- name: let_go
-- A step turned out to be made of calls that are held themselves: it costs what they cost.
UPDATE payonce_calls SET hold_nanos = NULL, ceiling_nanos = NULL
WHERE id = %(call_id)s AND state = 'intended' AND hold_nanos IS NOT NULL;

-- name: lock_dead_holds
-- The balances of calls of attempts that are gone, in the order of all locks. Differs because SQLite
-- has one writer at a time anyway.
SELECT b.id FROM payonce_balances AS b
WHERE b.id IN (
    SELECT holds.balance_id
    FROM payonce_holds AS holds
    JOIN payonce_calls AS calls ON calls.id = holds.call_id
    JOIN payonce_runs AS runs ON runs.id = calls.run_id
    WHERE runs.state <> 'running' OR runs.attempt <> calls.attempt
        OR runs.lease_until
            <= coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8))
ORDER BY b.id
FOR NO KEY UPDATE;

-- name: expire_holds
-- Calls of attempts that are gone are in doubt: their holds end, and nobody waits for them.
UPDATE payonce_calls AS calls
SET state = 'in_doubt', reason = %(reason)s, ended_at = clock.now
FROM payonce_runs AS runs,
    (SELECT coalesce(%(now)s::float8, extract(epoch FROM statement_timestamp())::float8) AS now)
    AS clock
WHERE calls.state = 'intended' AND calls.id IN (SELECT call_id FROM payonce_holds)
    AND runs.id = calls.run_id
    AND (runs.state <> 'running' OR runs.attempt <> calls.attempt OR runs.lease_until <= clock.now);

-- name: list_balances
-- What is used of every limit, of one period each: the last ones first.
SELECT * FROM payonce_balances
WHERE period = '' OR period IN (%(day)s, %(month)s)
ORDER BY scope, name, per, currency;

-- name: spent_lately
-- What each job has paid for each tenant: one pass over a stretch of the index by time.
SELECT job, tenant, currency, sum(nanos) AS nanos, NULL::bigint AS run_id, NULL::text AS key
FROM payonce_entries
WHERE at >= %(since)s AND at < %(until)s AND kind = 'settle' AND nanos > 0
    AND (%(job)s::text IS NULL OR job = %(job)s) AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
GROUP BY job, tenant, currency;

-- name: dearest_lately
-- The runs that most was paid for.
SELECT max(job) AS job, max(tenant) AS tenant, currency, sum(nanos) AS nanos,
    run_id, max(key) AS key
FROM payonce_entries
WHERE at >= %(since)s AND at < %(until)s AND kind = 'settle' AND nanos > 0
    AND (%(job)s::text IS NULL OR job = %(job)s) AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
GROUP BY run_id, currency
ORDER BY sum(nanos) DESC, run_id LIMIT %(most)s;

-- name: dearest_hours
-- What the dearest hour of each day has cost each of some jobs or tenants, or all together, in one
-- pass; hours and days are counted back from the end of the period.
SELECT name, currency, hour / 24 AS day, max(hour) AS hour, max(nanos) AS nanos
FROM (
    SELECT CASE %(scope)s WHEN 'job' THEN job WHEN 'tenant' THEN tenant ELSE '' END AS name,
        currency, floor((%(until)s - at) / 3600)::bigint AS hour, sum(nanos) AS nanos
    FROM payonce_entries
    WHERE at >= %(since)s AND at < %(until)s AND kind = 'settle' AND nanos > 0
        AND (%(scope)s = 'app'
            OR (%(scope)s = 'job' AND job IN (SELECT json_array_elements_text(%(names)s::json)))
            OR (%(scope)s = 'tenant' AND tenant IN (SELECT json_array_elements_text(%(names)s::json))))
    GROUP BY 1, 2, 3) AS hours
GROUP BY 1, 2, 3;

-- name: storms
-- Runs that are delivered again and again: by the numbers of deliveries, which are looked for by time
-- in a bounded part of them. Whoever is called again by the app itself or a person is no storm.
SELECT runs.*, NULL AS result_codec, NULL AS result_body, often.deliveries, often.first,
    often.last_queue
FROM (
    SELECT run_id, count(*) AS deliveries, min(at) AS first, max(queue) AS last_queue
    FROM payonce_deliveries
    WHERE id > (SELECT max(id) FROM payonce_deliveries) - 100000 AND at >= %(since)s
        AND queue NOT IN ('wake', 'lookout')
    GROUP BY run_id HAVING count(*) >= %(least)s) AS often
JOIN payonce_runs AS runs ON runs.id = often.run_id
WHERE runs.state <> 'done'
ORDER BY often.deliveries DESC, runs.id LIMIT 100;

-- name: use_of_budget
-- What is used of a limit that no call was held for in its period, which began at since.
SELECT %(scope)s::text AS scope, %(name)s::text AS name, %(per)s::text AS per,
    %(period)s::text AS period, %(currency)s::text AS currency,
    coalesce(%(nanos)s::bigint, 0) AS limit_nanos, 0 AS held, 0 AS unpriced,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS spent,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt
FROM payonce_entries
WHERE at >= %(since)s AND began >= %(since)s AND currency = %(currency)s
    AND CASE %(scope)s WHEN 'run' THEN job || ' ' || key = %(name)s WHEN 'job' THEN job = %(name)s
        WHEN 'tenant' THEN tenant = %(name)s ELSE true END;

-- name: entries_of_run
-- All that the ledger has of one run, in the order in which it was written.
SELECT * FROM payonce_entries WHERE run_id = %(run_id)s ORDER BY id;

-- name: span_of_entries
-- From when to when the ledger has entries: two looks at the ends of an index.
SELECT (SELECT min(at) FROM payonce_entries) AS first, (SELECT max(at) FROM payonce_entries) AS last;

-- name: sum_in_one_currency
-- What a period adds up to, out of indexes alone and without sorting: the caller looks whether all of
-- it is in one currency. A step that only made captured calls, within a day, has no receipt besides
-- theirs; such steps are looked for where a price is not known.
WITH settled AS (
    SELECT min(currency) AS currency, max(currency) AS other_currency,
        coalesce(sum(nanos), 0) AS paid, count(*) AS calls, count(*) - count(nanos) AS unpriced
    FROM payonce_entries
    WHERE at >= %(since)s::float8 AND at < %(until)s::float8 AND kind = 'settle'
), besides AS (
    SELECT min(currency) AS third_currency, max(currency) AS fourth_currency,
        coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
        coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
        count(*) FILTER (WHERE kind = 'waste') AS wasted, count(*) AS entries
    FROM payonce_entries
    WHERE at >= %(since)s::float8 AND at < %(until)s::float8 AND kind IN ('waste', 'doubt')
)
SELECT *, CASE WHEN unpriced > 0 THEN (
    SELECT count(*) FROM payonce_entries
    WHERE at >= %(since)s::float8 AND at < %(until)s::float8 AND kind = 'settle' AND nanos IS NULL
        AND call_id IN (
            SELECT parent_id FROM payonce_entries
            WHERE parent_id IS NOT NULL AND at >= %(since)s::float8 - 86400 AND at < %(until)s::float8))
    ELSE 0 END AS hollow
FROM settled CROSS JOIN besides;

-- name: sums_by_currency
-- The same for a job or a tenant, or where currencies are mixed: they never add up.
SELECT currency,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
    coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
    count(*) FILTER (WHERE kind = 'settle') AS calls,
    count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
    count(*) FILTER (WHERE kind = 'waste') AS wasted
FROM payonce_entries
WHERE at >= %(since)s::float8 AND at < %(until)s::float8 AND kind IN ('settle', 'waste', 'doubt')
    AND (%(job)s::text IS NULL OR job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s::text)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE parent_id IS NOT NULL AND at >= %(since)s::float8 - 86400 AND at < %(until)s::float8))
GROUP BY currency ORDER BY currency;

-- name: sums_by_model
-- The same for each model; what is no model's has none.
SELECT model, currency,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
    coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
    count(*) FILTER (WHERE kind = 'settle') AS calls,
    count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
    count(*) FILTER (WHERE kind = 'waste') AS wasted
FROM payonce_entries
WHERE at >= %(since)s::float8 AND at < %(until)s::float8 AND kind IN ('settle', 'waste', 'doubt')
    AND (%(job)s::text IS NULL OR job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s::text)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE parent_id IS NOT NULL AND at >= %(since)s::float8 - 86400 AND at < %(until)s::float8))
GROUP BY model, currency ORDER BY paid DESC, calls DESC, model;

-- name: dearest_runs
-- The runs that a period's money went to, the dearest of each currency one by one, the others of a
-- job and a tenant in one row. A run that has been pruned since has no state any more. States are
-- looked up by an array: joined, the planner would read all runs.
WITH per_run AS MATERIALIZED (
    SELECT run_id, currency, max(job) AS job, max(tenant) AS tenant, max(id) AS one,
        coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
        coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
        coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
        count(*) FILTER (WHERE kind = 'settle') AS calls,
        count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
        count(*) FILTER (WHERE kind = 'waste') AS wasted
    FROM payonce_entries
    WHERE at >= %(since)s::float8 AND at < %(until)s::float8
        AND kind IN ('settle', 'waste', 'doubt')
        AND (%(job)s::text IS NULL OR job = %(job)s::text)
        AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s::text)
        AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
            SELECT parent_id FROM payonce_entries
            WHERE parent_id IS NOT NULL AND at >= %(since)s::float8 - 86400 AND at < %(until)s::float8))
    GROUP BY run_id, currency
), dearest AS MATERIALIZED (
    SELECT one_by_one.*
    FROM (SELECT DISTINCT currency FROM per_run) AS each CROSS JOIN LATERAL (
        SELECT * FROM per_run WHERE per_run.currency = each.currency
        ORDER BY paid DESC, doubt DESC, calls DESC, run_id LIMIT %(most)s::bigint) AS one_by_one
)
SELECT run_id, (SELECT key FROM payonce_entries WHERE id = one) AS key, job, tenant,
    (SELECT state FROM payonce_runs AS runs WHERE runs.id = run_id) AS state, currency, 1 AS runs,
    paid, waste, doubt, calls, unpriced, wasted
FROM dearest
UNION ALL
SELECT NULL, NULL, per_run.job, per_run.tenant, runs.state, per_run.currency, count(*),
    sum(paid), sum(waste), sum(doubt), sum(calls), sum(unpriced), sum(wasted)
FROM per_run LEFT JOIN (
    SELECT id, state FROM payonce_runs WHERE id = ANY (ARRAY(SELECT run_id FROM per_run))
) AS runs ON runs.id = per_run.run_id
WHERE (per_run.run_id, per_run.currency) NOT IN (SELECT run_id, currency FROM dearest)
GROUP BY 3, 4, 5, 6
ORDER BY paid DESC, doubt DESC, calls DESC, 1;

-- name: outlays_of_run
-- What each attempt at a run has paid for each step, by day and model. A step that only made captured
-- calls has no receipt besides theirs.
SELECT floor(at / 86400) * 86400 AS day, attempt, step, model, currency, max(job) AS job,
    max(key) AS key, max(tenant) AS tenant,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
    coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
    count(*) FILTER (WHERE kind = 'settle') AS calls,
    count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
    count(*) FILTER (WHERE kind = 'waste') AS wasted
FROM payonce_entries
WHERE run_id = %(run_id)s::bigint AND kind IN ('settle', 'waste', 'doubt')
    AND at >= %(since)s::float8 AND at < %(until)s::float8
    AND (%(job)s::text IS NULL OR job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s::text)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE run_id = %(run_id)s::bigint AND parent_id IS NOT NULL))
GROUP BY 1, 2, 3, 4, 5 ORDER BY min(id);

-- name: open_doubts
-- Calls that may have been billed, as far as nobody knows better: what each may have cost at most,
-- and what its repeat did cost. A step that only made captured calls is as certain as those are.
SELECT entries.*, calls.resolution,
    CASE WHEN calls.id IS NOT NULL THEN coalesce(calls.reason, '') END AS reason, (
    SELECT max(again.cost_nanos) FROM payonce_calls AS again
    WHERE again.run_id = calls.run_id AND again.step_key = calls.step_key
        AND again.occurrence = calls.occurrence AND again.state = 'paid'
        AND again.currency = entries.currency) AS repeat_nanos
FROM payonce_entries AS entries
LEFT JOIN payonce_calls AS calls ON calls.id = entries.call_id
WHERE entries.kind IN ('waste', 'doubt') AND entries.kind = 'doubt'
    AND entries.at >= %(since)s::float8 AND entries.at < %(until)s::float8
    AND (%(job)s::text IS NULL OR entries.job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR entries.tenant = %(tenant)s::text)
    AND NOT EXISTS (
        SELECT 1 FROM payonce_entries AS after
        WHERE after.run_id = entries.run_id AND after.call_id = entries.call_id
            AND after.kind = 'doubt' AND after.id > entries.id)
    AND (calls.id IS NULL OR calls.state = 'in_doubt')
    AND NOT EXISTS (
        SELECT 1 FROM payonce_entries AS inner_
        WHERE inner_.run_id = entries.run_id AND inner_.parent_id = entries.call_id)
ORDER BY entries.id;

-- name: replayed
-- What the deliveries after a run's first would have paid again: for each good receipt, the number of
-- them that came when it was there. Those that payonce made itself don't count.
WITH again AS (
    SELECT run_id, at FROM payonce_deliveries
    WHERE (attempt IS NULL OR attempt > 1) AND at >= %(since)s::float8 AND at < %(until)s::float8
        AND queue NOT IN ('wake', 'lookout')
), counted AS (
    SELECT run_id, count(*) AS deliveries FROM again GROUP BY run_id
), events AS (
    SELECT run_id, at, 1 AS delivery, NULL::text AS kind, NULL::bigint AS call_id,
        NULL::bigint AS nanos, NULL::text AS currency
    FROM again
    UNION ALL
    SELECT entries.run_id, entries.at, 0, entries.kind, entries.call_id, entries.nanos,
        entries.currency
    FROM counted JOIN payonce_entries AS entries ON entries.run_id = counted.run_id
    WHERE entries.kind IN ('settle', 'waste')
), timed AS (
    SELECT *, sum(delivery) OVER (PARTITION BY run_id ORDER BY at DESC)
        * CASE kind WHEN 'settle' THEN 1 ELSE -1 END AS times
    FROM events
), receipts AS (
    SELECT run_id, currency,
        sum(times::numeric * coalesce(nanos, 0)) AS saved, sum(times)::bigint AS calls,
        coalesce(sum(times) FILTER (WHERE nanos IS NULL), 0)::bigint AS unpriced
    FROM timed
    WHERE delivery = 0 AND (nanos IS NOT NULL OR call_id NOT IN (
        SELECT inner_.parent_id FROM payonce_entries AS inner_
        JOIN counted ON counted.run_id = inner_.run_id
        WHERE inner_.parent_id IS NOT NULL))
    GROUP BY run_id, currency
)
SELECT counted.run_id, runs.job, runs.key, runs.tenant, counted.deliveries, receipts.currency,
    coalesce(receipts.saved, 0) AS saved, coalesce(receipts.calls, 0) AS calls,
    coalesce(receipts.unpriced, 0) AS unpriced
FROM counted JOIN payonce_runs AS runs ON runs.id = counted.run_id
LEFT JOIN receipts ON receipts.run_id = counted.run_id
WHERE (%(job)s::text IS NULL OR runs.job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR runs.tenant = %(tenant)s::text)
ORDER BY saved DESC, counted.deliveries DESC, counted.run_id;

-- name: delivered_again
-- The deliveries after a run's first, but for those that payonce made itself: out of their own index.
SELECT floor(at / 86400) * 86400 AS day, runs.job, runs.tenant, queue, user_agent, count(*) AS deliveries
FROM payonce_deliveries AS again JOIN payonce_runs AS runs ON runs.id = again.run_id
WHERE (again.attempt IS NULL OR again.attempt > 1)
    AND at >= %(since)s::float8 AND at < %(until)s::float8 AND queue NOT IN ('wake', 'lookout')
    AND (%(job)s::text IS NULL OR runs.job = %(job)s::text)
    AND (%(tenant)s::text IS NULL OR runs.tenant = %(tenant)s::text)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, deliveries DESC, 2, 3, 4, 5;

-- name: runs_in_ledger
-- The runs of a key, those that have been pruned since, too.
SELECT run_id, job, max(tenant) AS tenant FROM payonce_entries
WHERE key = %(key)s::text AND (%(job)s::text IS NULL OR job = %(job)s::text)
GROUP BY run_id, job ORDER BY run_id;

-- name: schema_version
-- The last migration that was applied.
SELECT max(number) AS number FROM payonce_migrations;

-- name: list_claims
-- Who has which right until when, and what the last looks saw.
SELECT name, owner, until FROM payonce_claims ORDER BY name;

-- name: count_states
-- How many runs are in which state.
SELECT state, count(*) AS runs FROM payonce_runs GROUP BY state ORDER BY state;

-- name: attempts_of_run
-- In the order in which they held the lease.
SELECT * FROM payonce_attempts WHERE run_id = %(run_id)s ORDER BY number;

-- name: deliveries_of_run
-- In the order in which they came.
SELECT * FROM payonce_deliveries WHERE run_id = %(run_id)s ORDER BY id;

-- name: size
-- The bytes of all tables with their indexes. Differs because SQLite asks the file system.
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind = 'r'
    AND c.relname LIKE 'payonce\_%%';

-- name: prune_runs
-- One step of pruning, the longest untouched first; rows that somebody works on are passed over.
-- Differs because one statement also does what old_runs, size_of_runs, prune_payloads,
-- prune_attempts, prune_deliveries, prune_calls and prune_balances do on SQLite.
WITH old AS MATERIALIZED (
    SELECT id, result_id, job, key FROM payonce_runs
    WHERE state = ANY (%(states)s::text[]) AND updated_at < %(before)s::float8
    ORDER BY updated_at LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
), calls AS (
    DELETE FROM payonce_calls AS calls USING old WHERE calls.run_id = old.id
    RETURNING calls.answer_id
), attempts AS (
    DELETE FROM payonce_attempts AS attempts USING old WHERE attempts.run_id = old.id
), deliveries AS (
    DELETE FROM payonce_deliveries AS deliveries USING old WHERE deliveries.run_id = old.id
), balances AS (
    DELETE FROM payonce_balances AS balances USING old
    WHERE balances.scope = 'run' AND balances.held = 0
        AND balances.name = old.job || ' ' || old.key
), runs AS (
    DELETE FROM payonce_runs AS runs USING old WHERE runs.id = old.id RETURNING runs.id
), payloads AS (
    DELETE FROM payonce_payloads AS payloads
    USING (SELECT answer_id AS id FROM calls UNION ALL SELECT result_id FROM old) AS gone
    WHERE payloads.id = gone.id
    RETURNING octet_length(payloads.body) AS bytes
)
SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM calls) AS calls,
    (SELECT coalesce(sum(bytes), 0)::bigint FROM payloads) AS bytes;
