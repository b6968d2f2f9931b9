-- Named queries of the SQLite journal; the names are the same in every dialect.

-- name: find_run
-- A delivery of a run that is parked or done costs this one read.
SELECT runs.*, payloads.codec AS result_codec, payloads.body AS result_body
FROM payonce_runs AS runs
LEFT JOIN payonce_payloads AS payloads ON payloads.id = runs.result_id
WHERE runs.job = :job AND runs.key = :key;

-- name: find_run_by_id
-- The snapshot that an attempt starts from, read in the transaction that took the lease.
SELECT runs.*, payloads.codec AS result_codec, payloads.body AS result_body
FROM payonce_runs AS runs
LEFT JOIN payonce_payloads AS payloads ON payloads.id = runs.result_id
WHERE runs.id = :run_id;

-- name: add_run
-- Two first deliveries at once make one run: the second insert does nothing.
INSERT INTO payonce_runs
    (job, key, tenant, state, arguments, arguments_fingerprint, created_at, updated_at)
VALUES (:job, :key, :tenant, 'waiting', :arguments, :arguments_fingerprint, :now, :now)
ON CONFLICT (job, key) DO NOTHING;

-- name: take_lease
-- Compare and swap on what was seen; a running run is taken only from an expired or dead holder.
UPDATE payonce_runs
SET state = 'running', attempt = attempt + 1,
    tries = CASE WHEN :woken THEN 1 ELSE tries + 1 END,
    kills = :kills, killed_at = :killed_at,
    lease_owner = :owner, lease_until = :until, retry_at = NULL, updated_at = :now
WHERE job = :job AND key = :key AND state = :seen_state AND attempt = :seen_attempt
    AND (state <> 'running' OR lease_until <= :now OR lease_owner = :dead_owner);

-- name: trouble
-- How the job fares in this world: the cause that most runs have failed by since one was done.
WITH proven AS (
    SELECT max(updated_at) AS at FROM payonce_runs
    WHERE job = :job AND world_code = :world_code AND world_schema = :world_schema
        AND state = 'done'
), cause AS (
    SELECT max(id) AS id, count(*) AS failed, max(updated_at) AS last FROM payonce_runs
    WHERE job = :job AND world_code = :world_code AND world_schema = :world_schema
        AND held = 0 AND state <> 'done' AND wakes_on NOT IN ('input', 'budget')
        AND (kind = 'deterministic' OR (kind = 'unknown' AND state = 'parked'))
        AND updated_at > coalesce((SELECT at FROM proven), -1)
    GROUP BY fingerprint ORDER BY failed DESC, last DESC LIMIT 1
)
SELECT coalesce(cause.failed, 0) AS failed, cause.last, proven.at IS NOT NULL AS proven,
    runs.kind, runs.reason, runs.evidence, runs.fingerprint, runs.wakes_on,
    CASE WHEN cause.failed > 0 OR :cautious THEN (
        SELECT count(*) FROM payonce_runs AS others
        JOIN payonce_attempts AS a ON a.run_id = others.id AND a.number = others.attempt
        WHERE others.state = 'running' AND others.job = :job AND others.key <> :key
            AND others.lease_until > :now
            AND a.world_code = :world_code AND a.world_schema = :world_schema
    ) ELSE 0 END AS in_flight
FROM proven LEFT JOIN cause ON true LEFT JOIN payonce_runs AS runs ON runs.id = cause.id;

-- name: hold_run
-- A run is set aside at the door, for the cause that others have failed by; nothing was paid.
UPDATE payonce_runs
SET state = 'parked', held = 1, retry_at = NULL, reason = :reason, kind = :kind,
    evidence = :evidence, fingerprint = :fingerprint, wakes_on = :wakes_on,
    world_code = :world_code, world_schema = :world_schema, updated_at = :now
WHERE job = :job AND key = :key AND state = :seen_state AND attempt = :seen_attempt
    AND state IN ('waiting', 'parked');

-- name: claim
-- One of all has a named right until a moment; whoever has it may prolong it.
INSERT INTO payonce_claims (name, owner, until) VALUES (:name, :owner, :until)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE until <= :now OR owner = excluded.owner;

-- name: drop_claims
-- Rights that have run out are nobody's; who had them last is remembered for a day.
DELETE FROM payonce_claims WHERE until <= :now - 86400;

-- name: run_id_of
-- The id behind a job and a key.
SELECT id FROM payonce_runs WHERE job = :job AND key = :key;

-- name: last_step_of_run
-- Where a run was last seen at work, in this attempt or an earlier one whose receipts it replayed:
-- names the place of a death without a word.
SELECT name FROM payonce_calls WHERE run_id = :run_id ORDER BY id DESC LIMIT 1;

-- name: lose_attempt
-- The attempt that was taken over from ended without a word.
UPDATE payonce_attempts SET outcome = 'lost', ended_at = :now, at_step = :at_step
WHERE run_id = :run_id AND number = :attempt AND outcome IS NULL;

-- name: doubt_open_calls
-- What an attempt that is lost, or that ended, still had in flight may have been billed.
UPDATE payonce_calls SET state = 'in_doubt', reason = :reason, ended_at = :now
WHERE run_id = :run_id AND state = 'intended';

-- name: add_attempt
-- One holding of the lease.
INSERT INTO payonce_attempts (run_id, number, owner, world_code, world_schema, started_at)
VALUES (:run_id, :attempt, :owner, :world_code, :world_schema, :now);

-- name: add_delivery
-- Every arrival is kept, with what its queue said of itself.
INSERT INTO payonce_deliveries
    (run_id, attempt, at, queue, message, retry_count, previous_response, user_agent, answer)
VALUES (:run_id, :attempt, :now, :queue, :message, :retry_count, :previous_response,
    :user_agent, :answer);

-- name: answer_delivery
-- What the queue was told about the delivery that an attempt worked for.
UPDATE payonce_deliveries SET answer = :answer
WHERE run_id = :run_id AND attempt = :attempt AND answer IS NULL;

-- name: renew_lease
-- Fenced: only the attempt that holds the lease may prolong it.
UPDATE payonce_runs SET lease_until = :until
WHERE id = :run_id AND attempt = :attempt AND state = 'running';

-- name: close_run
-- Fenced: an attempt that lost its lease can't move the run.
UPDATE payonce_runs
SET state = :state, lease_owner = NULL, lease_until = NULL, retry_at = :retry_at,
    kills = 0, killed_at = NULL, reason = :reason, kind = :kind, evidence = :evidence,
    fingerprint = :fingerprint, wakes_on = :wakes_on, world_code = :world_code,
    world_schema = :world_schema, held = 0, updated_at = :now
WHERE id = :run_id AND attempt = :attempt AND state = 'running';

-- name: close_attempt
-- The attempt's own line of history.
UPDATE payonce_attempts
SET outcome = :outcome, ended_at = :now, kind = :kind, reason = :reason, error = :error,
    fingerprint = :fingerprint, at_step = :at_step
WHERE run_id = :run_id AND number = :attempt AND outcome IS NULL;

-- name: set_result
-- The payload that was added just before; a run completed inside the user's own transaction
-- gets its value afterwards.
UPDATE payonce_runs SET result_id = last_insert_rowid(), updated_at = :now
WHERE id = :run_id AND attempt = :attempt AND state = 'done' AND result_id IS NULL;

-- name: wake_run
-- A person's word: the run may go on at once, whatever the world looks like.
UPDATE payonce_runs SET state = 'waiting', retry_at = NULL, tries = 0, kills = 0, updated_at = :now
WHERE id = :run_id AND attempt = :attempt AND state = 'parked';

-- name: wake_answered
-- A run that waits for a person's word on a call goes on when the call's receipt comes late.
UPDATE payonce_runs SET state = 'waiting', retry_at = NULL, tries = 0, kills = 0, updated_at = :now
WHERE state = 'parked' AND evidence = 'InDoubt'
    AND id = (SELECT run_id FROM payonce_calls WHERE id = :call_id);

-- name: add_intent
-- Fenced and in time: no call is made by an attempt that lost its lease or let it expire.
INSERT INTO payonce_calls
    (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, model,
     idempotency_key, drift, started_at, ceiling_nanos, hold_nanos, hold_currency)
SELECT :run_id, :attempt, :step_key, :occurrence, :send, :name, :source, :parent_id, 'intended',
    :model, :idempotency_key, :drift, :now, :ceiling_nanos, :hold_nanos, :hold_currency
FROM payonce_runs
WHERE id = :run_id AND attempt = :attempt AND state = 'running' AND lease_until > :now
    AND :told = (SELECT coalesce(max(version), 0) FROM payonce_budgets);

-- name: add_spilled_call
-- An intent that a crash of the machine took away comes back with its spilled receipt; where
-- another attempt has taken its place meanwhile, it gets the next one, once.
INSERT INTO payonce_calls
    (run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, model,
     idempotency_key, drift, started_at, ceiling_nanos, hold_currency)
SELECT :run_id, :attempt, :step_key, :occurrence,
    CASE WHEN EXISTS (
        SELECT 1 FROM payonce_calls
        WHERE run_id = :run_id AND step_key = :step_key AND occurrence = :occurrence
            AND send = :send
    ) THEN (
        SELECT max(send) + 1 FROM payonce_calls
        WHERE run_id = :run_id AND step_key = :step_key AND occurrence = :occurrence
    ) ELSE :send END,
    :name, :source, :parent_id, 'intended', :model, :idempotency_key, :drift, :now,
    :ceiling_nanos, :hold_currency
WHERE NOT EXISTS (
    SELECT 1 FROM payonce_calls
    WHERE run_id = :run_id AND step_key = :step_key AND occurrence = :occurrence
        AND attempt = :attempt AND (send = :send OR (state = 'paid' AND ended_at = :now)));

-- name: set_drift
-- At the end of an attempt it is certain which receipts lie unused; what was known earlier stays.
UPDATE payonce_calls SET drift = :drift WHERE id = :call_id AND run_id = :run_id AND drift IS NULL;

-- name: find_call_place
-- A spilled receipt finds its attempt's call by its place, for ids may differ after a crash.
SELECT id FROM payonce_calls
WHERE run_id = :run_id AND step_key = :step_key AND occurrence = :occurrence
    AND attempt = :attempt AND (send = :send OR (state = 'paid' AND ended_at = :now))
ORDER BY send = :send DESC LIMIT 1;

-- name: add_payload
-- A value that is too large or too rarely read for the hot rows.
INSERT INTO payonce_payloads (codec, body) VALUES (:codec, :body);

-- name: drop_last_payload
-- The one that was added just before, and that nothing points to: a second answer of a call that
-- has its receipt already, or the result of an attempt that lost its lease.
DELETE FROM payonce_payloads WHERE id = last_insert_rowid();

-- name: complete_call
-- The usual way: nothing has become of the call since its intent. No run waits for it, for what is
-- still intended when a run is closed is in doubt by that.
UPDATE payonce_calls
SET state = 'paid', answer_id = :answer_id, model = coalesce(:model, model), usage = :usage,
    cost_nanos = :cost_nanos, currency = :currency, ended_at = :now
WHERE id = :call_id AND state = 'intended';

-- name: complete_late
-- Not fenced: a receipt that comes late is kept, never refused; the first receipt stays.
UPDATE payonce_calls
SET state = 'paid', answer_id = :answer_id, model = coalesce(:model, model), usage = :usage,
    cost_nanos = :cost_nanos, currency = :currency, ended_at = :now,
    reason = CASE WHEN resolution IS NULL THEN NULL ELSE reason END
WHERE id = :call_id AND state <> 'paid';

-- name: end_call
-- Without a receipt: released or in doubt. A receipt that is there already wins.
UPDATE payonce_calls
SET state = :state, reason = :reason,
    ended_at = CASE WHEN state = :state THEN ended_at ELSE :now END
WHERE id = :call_id AND state IN ('intended', 'in_doubt');

-- name: reject_call
-- The receipt stays, as waste; the step may be asked again.
UPDATE payonce_calls SET rejected = 1, reason = :reason WHERE id = :call_id AND state = 'paid';

-- name: resolve_call
-- A person's word on a call in doubt, or on an answer that can't be rebuilt.
UPDATE payonce_calls
SET resolution = :resolution, reason = :reason,
    state = CASE WHEN :resolution = 'did_not_happen' THEN 'released' ELSE state END,
    rejected = CASE WHEN :resolution = 'pay_again' AND state = 'paid' THEN 1 ELSE rejected END
WHERE id = :call_id AND (state = 'in_doubt' OR (state = 'paid' AND :resolution = 'pay_again'));

-- name: calls_of_run
-- All that a run knows of its calls, with every answer: replay is then a dict look-up.
SELECT calls.*, payloads.codec AS answer_codec, payloads.body AS answer_body
FROM payonce_calls AS calls
LEFT JOIN payonce_payloads AS payloads ON payloads.id = calls.answer_id
WHERE calls.run_id = :run_id
ORDER BY calls.step_key, calls.occurrence, calls.send;

-- name: call_by_id
-- One call, for a person to look at or to resolve.
SELECT calls.*, payloads.codec AS answer_codec, payloads.body AS answer_body
FROM payonce_calls AS calls
LEFT JOIN payonce_payloads AS payloads ON payloads.id = calls.answer_id
WHERE calls.id = :call_id;

-- name: list_runs
-- The newest first; a NULL filter lets everything through. What is listed is chosen before anything
-- is counted. A step that only made captured calls, and has no cost of its own, is not counted
-- beside them: it is their parent.
SELECT runs.*, NULL AS result_codec, NULL AS result_body,
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
    (SELECT group_concat(sum.currency || ' ' || sum.nanos || ' ' || sum.calls, ',')
     FROM (SELECT c.currency, sum(c.cost_nanos) AS nanos, count(*) AS calls
           FROM payonce_calls AS c
           WHERE c.run_id = runs.id AND c.state = 'paid' AND c.cost_nanos IS NOT NULL
           GROUP BY c.currency) AS sum) AS costs
FROM (
    SELECT * FROM payonce_runs
    WHERE (:state IS NULL OR state = :state) AND (:job IS NULL OR job = :job)
        AND (:key IS NULL OR key = :key) AND (:tenant IS NULL OR tenant = :tenant)
        AND (:run_id IS NULL OR id = :run_id)
    ORDER BY updated_at DESC, id DESC
    LIMIT :limit
) AS runs
ORDER BY runs.updated_at DESC, runs.id DESC;

-- name: wakeable_runs
-- What a look calls again. Parked runs that this world may wake: they were parked in another one,
-- held at the door, or are due for a probe. Runs that only lack a delivery: at once where none is
-- to come, for no queue has them, else once they are overdue. By state first, for most runs are
-- done; the counts of a list are not needed.
SELECT runs.*, NULL AS result_codec, NULL AS result_body, 0 AS deliveries, 0 AS paid, 0 AS in_doubt,
    0 AS rejected, NULL AS costs
FROM payonce_runs AS runs
WHERE runs.state IN ('parked', 'waiting', 'running') AND runs.job = :job AND +runs.id > :after
    AND CASE WHEN runs.state = 'parked' THEN
        runs.held = 1 OR runs.retry_at <= :now OR runs.world_code IS NOT :world_code
            OR runs.world_schema IS NOT :world_schema
    ELSE
        coalesce(runs.lease_until, runs.retry_at, runs.updated_at) <= :now - CASE WHEN EXISTS (
            SELECT 1 FROM payonce_deliveries AS d
            WHERE d.run_id = runs.id AND d.attempt = runs.attempt
                AND d.queue IN ('wake', 'lookout')
        ) THEN 0 ELSE :overdue END
    END
ORDER BY +runs.id
LIMIT :limit;

-- name: budgets
-- The limits that people have set; few, and read whole.
SELECT * FROM payonce_budgets ORDER BY scope, name, per, currency;

-- name: budgets_version
-- Grows with each limit that is set.
SELECT coalesce(max(version), 0) AS version FROM payonce_budgets;

-- name: set_budget
-- A person's word on a limit, over what the code says; NULL lifts it, cleared takes it back.
INSERT INTO payonce_budgets (scope, name, per, currency, nanos, set_at, version, cleared)
SELECT :scope, :name, :per, :currency, :nanos, :now, coalesce(max(version), 0) + 1, :cleared
FROM payonce_budgets WHERE true
ON CONFLICT (scope, name, per, currency) DO UPDATE
SET nanos = excluded.nanos, set_at = excluded.set_at, version = excluded.version,
    cleared = excluded.cleared;

-- name: let_budgeted_go
-- Runs that were parked by this budget, or for a price that is not known, are looked at again.
UPDATE payonce_runs SET retry_at = :now
WHERE state = 'parked' AND wakes_on LIKE '%budget'
    AND (fingerprint LIKE 'BudgetReached:' || :scope || ':%:' || :per || ':' || :currency
        OR fingerprint LIKE 'PriceUnknown:%')
    AND CASE :scope WHEN 'run' THEN :name IN ('*', job, job || ' ' || key)
        WHEN 'job' THEN :name IN ('*', job) WHEN 'tenant' THEN :name IN ('*', tenant) ELSE 1 END;

-- name: add_balance
-- A balance begins with what the ledger knows of its period.
INSERT INTO payonce_balances (scope, name, per, period, currency, limit_nanos, spent, doubt)
SELECT :scope, :name, :per, :period, :currency, :nanos,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0),
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0)
FROM (
    SELECT kind, nanos FROM payonce_entries
    WHERE :scope = 'run' AND run_id = :run_id AND currency = :currency AND began >= :since
    UNION ALL
    SELECT kind, nanos FROM payonce_entries
    WHERE :scope <> 'run' AND at >= :since AND currency = :currency AND began >= :since
        AND (:scope = 'app' OR (:scope = 'job' AND job = :name)
            OR (:scope = 'tenant' AND tenant = :name)))
WHERE true
ON CONFLICT (scope, name, per, period, currency) DO NOTHING;

-- name: find_balance
-- What is used of one limit in one period.
SELECT * FROM payonce_balances
WHERE scope = :scope AND name = :name AND per = :per AND period = :period AND currency = :currency;

-- name: cost_lately
-- The dearest of the last calls of a step, where it is asked of the same model.
SELECT max(nanos) AS nanos FROM (
    SELECT nanos FROM payonce_entries
    WHERE kind = 'settle' AND step = :name AND currency = :hold_currency AND nanos IS NOT NULL
        AND job = (SELECT job FROM payonce_runs WHERE id = :run_id)
        AND (:model IS NULL OR model IS NULL OR substr(model, 1, length(:model)) = :model)
    ORDER BY id DESC LIMIT 100) AS lately;

-- name: reserve
-- The amount that a call is held for counts until it has ended.
UPDATE payonce_balances SET held = held + :hold_nanos, limit_nanos = :nanos WHERE id = :balance_id;

-- name: add_hold
-- Which balance the amount is reserved in.
INSERT INTO payonce_holds (call_id, balance_id) VALUES (:call_id, :balance_id);

-- name: let_go
-- A step turned out to be made of calls that are held themselves: it costs what they cost.
UPDATE payonce_calls SET hold_nanos = NULL, ceiling_nanos = NULL
WHERE id = :call_id AND state = 'intended' AND hold_nanos IS NOT NULL;

-- name: expire_holds
-- Calls of attempts that are gone are in doubt: their holds end, and nobody waits for them.
UPDATE payonce_calls SET state = 'in_doubt', reason = :reason, ended_at = :now
WHERE state = 'intended' AND id IN (
    SELECT holds.call_id FROM payonce_holds AS holds
    JOIN payonce_calls AS calls ON calls.id = holds.call_id
    JOIN payonce_runs AS runs ON runs.id = calls.run_id
    WHERE runs.state <> 'running' OR runs.attempt <> calls.attempt OR runs.lease_until <= :now);

-- name: list_balances
-- What is used of every limit, of one period each: the last ones first.
SELECT * FROM payonce_balances
WHERE period = '' OR period IN (:day, :month)
ORDER BY scope, name, per, currency;

-- name: spent_lately
-- What each job has paid for each tenant: one pass over a stretch of the index by time.
SELECT job, tenant, currency, sum(nanos) AS nanos, NULL AS run_id, NULL AS key
FROM payonce_entries
WHERE at >= :since AND at < :until AND kind = 'settle' AND nanos > 0
    AND (:job IS NULL OR job = :job) AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY job, tenant, currency;

-- name: dearest_lately
-- The runs that most was paid for.
SELECT max(job) AS job, max(tenant) AS tenant, currency, sum(nanos) AS nanos,
    run_id, max(key) AS key
FROM payonce_entries
WHERE at >= :since AND at < :until AND kind = 'settle' AND nanos > 0
    AND (:job IS NULL OR job = :job) AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY run_id, currency
ORDER BY sum(nanos) DESC, run_id LIMIT :most;

-- name: dearest_hours
-- What the dearest hour of each day has cost each of some jobs or tenants, or all together, in one
-- pass; hours and days are counted back from the end of the period.
SELECT name, currency, hour / 24 AS day, max(hour) AS hour, max(nanos) AS nanos
FROM (
    SELECT CASE :scope WHEN 'job' THEN job WHEN 'tenant' THEN tenant ELSE '' END AS name,
        currency, CAST((:until - at) / 3600 AS INTEGER) AS hour, sum(nanos) AS nanos
    FROM payonce_entries
    WHERE at >= :since AND at < :until AND kind = 'settle' AND nanos > 0
        AND (:scope = 'app'
            OR (:scope = 'job' AND job IN (SELECT value FROM json_each(:names)))
            OR (:scope = 'tenant' AND tenant IN (SELECT value FROM json_each(:names))))
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
    WHERE id > (SELECT max(id) FROM payonce_deliveries) - 100000 AND at >= :since
        AND queue NOT IN ('wake', 'lookout')
    GROUP BY run_id HAVING count(*) >= :least) AS often
JOIN payonce_runs AS runs ON runs.id = often.run_id
WHERE runs.state <> 'done'
ORDER BY often.deliveries DESC, runs.id LIMIT 100;

-- name: use_of_budget
-- What is used of a limit that no call was held for in its period, which began at :since.
SELECT :scope AS scope, :name AS name, :per AS per, :period AS period, :currency AS currency,
    coalesce(:nanos, 0) AS limit_nanos, 0 AS held, 0 AS unpriced,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS spent,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt
FROM payonce_entries
WHERE at >= :since AND began >= :since AND currency = :currency
    AND CASE :scope WHEN 'run' THEN job || ' ' || key = :name WHEN 'job' THEN job = :name
        WHEN 'tenant' THEN tenant = :name ELSE 1 END;

-- name: entries_of_run
-- All that the ledger has of one run, in the order in which it was written.
SELECT * FROM payonce_entries WHERE run_id = :run_id ORDER BY id;

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
    WHERE at >= :since AND at < :until AND kind = 'settle'
), besides AS (
    SELECT min(currency) AS third_currency, max(currency) AS fourth_currency,
        coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
        coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
        count(*) FILTER (WHERE kind = 'waste') AS wasted, count(*) AS entries
    FROM payonce_entries
    WHERE at >= :since AND at < :until AND kind IN ('waste', 'doubt')
)
SELECT *, CASE WHEN unpriced > 0 THEN (
    SELECT count(*) FROM payonce_entries
    WHERE at >= :since AND at < :until AND kind = 'settle' AND nanos IS NULL
        AND call_id IN (
            SELECT parent_id FROM payonce_entries
            WHERE parent_id IS NOT NULL AND at >= :since - 86400 AND at < :until))
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
WHERE at >= :since AND at < :until AND kind IN ('settle', 'waste', 'doubt')
    AND (:job IS NULL OR job = :job)
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE parent_id IS NOT NULL AND at >= :since - 86400 AND at < :until))
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
WHERE at >= :since AND at < :until AND kind IN ('settle', 'waste', 'doubt')
    AND (:job IS NULL OR job = :job)
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE parent_id IS NOT NULL AND at >= :since - 86400 AND at < :until))
GROUP BY model, currency ORDER BY paid DESC, calls DESC, model;

-- name: dearest_runs
-- The runs that a period's money went to, the dearest of each currency one by one, the others of a
-- job and a tenant in one row. A run that has been pruned since has no state any more.
WITH per_run AS MATERIALIZED (
    SELECT run_id, currency, max(id) AS one,
        coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
        coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
        coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
        count(*) FILTER (WHERE kind = 'settle') AS calls,
        count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
        count(*) FILTER (WHERE kind = 'waste') AS wasted
    FROM payonce_entries
    WHERE at >= :since AND at < :until
        AND kind IN ('settle', 'waste', 'doubt')
        AND (:job IS NULL OR job = :job)
        AND (:tenant IS NULL OR tenant = :tenant)
        AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
            SELECT parent_id FROM payonce_entries
            WHERE parent_id IS NOT NULL AND at >= :since - 86400 AND at < :until))
    GROUP BY run_id, currency
), ranked AS (
    SELECT run_id, currency, row_number() OVER (
        PARTITION BY currency ORDER BY paid DESC, doubt DESC, calls DESC, run_id) AS place
    FROM per_run
), dearest AS MATERIALIZED (
    SELECT run_id, currency FROM ranked WHERE place <= :most
)
SELECT dearest.run_id, CASE WHEN dearest.run_id IS NOT NULL THEN named.key END AS key, named.job,
    named.tenant, runs.state, per_run.currency, count(*) AS runs, sum(per_run.paid) AS paid,
    sum(per_run.waste) AS waste, sum(per_run.doubt) AS doubt,
    sum(per_run.calls) AS calls, sum(per_run.unpriced) AS unpriced,
    sum(per_run.wasted) AS wasted
FROM per_run JOIN payonce_entries AS named ON named.id = per_run.one
LEFT JOIN payonce_runs AS runs ON runs.id = per_run.run_id
LEFT JOIN dearest ON dearest.run_id = per_run.run_id AND dearest.currency = per_run.currency
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY paid DESC, doubt DESC, calls DESC, 1;

-- name: outlays_of_run
-- What each attempt at a run has paid for each step, by day and model. A step that only made captured
-- calls has no receipt besides theirs.
SELECT CAST(at / 86400 AS INTEGER) * 86400.0 AS day, attempt, step, model, currency, max(job) AS job,
    max(key) AS key, max(tenant) AS tenant,
    coalesce(sum(nanos) FILTER (WHERE kind = 'settle'), 0) AS paid,
    coalesce(sum(nanos) FILTER (WHERE kind = 'waste'), 0) AS waste,
    coalesce(sum(nanos) FILTER (WHERE kind = 'doubt'), 0) AS doubt,
    count(*) FILTER (WHERE kind = 'settle') AS calls,
    count(*) FILTER (WHERE kind = 'settle' AND nanos IS NULL) AS unpriced,
    count(*) FILTER (WHERE kind = 'waste') AS wasted
FROM payonce_entries
WHERE run_id = :run_id AND kind IN ('settle', 'waste', 'doubt')
    AND at >= :since AND at < :until
    AND (:job IS NULL OR job = :job)
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (kind <> 'settle' OR nanos IS NOT NULL OR call_id NOT IN (
        SELECT parent_id FROM payonce_entries
        WHERE run_id = :run_id AND parent_id IS NOT NULL))
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
    AND entries.at >= :since AND entries.at < :until
    AND (:job IS NULL OR entries.job = :job)
    AND (:tenant IS NULL OR entries.tenant = :tenant)
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
    WHERE (attempt IS NULL OR attempt > 1) AND at >= :since AND at < :until
        AND queue NOT IN ('wake', 'lookout')
), counted AS (
    SELECT run_id, count(*) AS deliveries FROM again GROUP BY run_id
), events AS (
    SELECT run_id, at, 1 AS delivery, NULL AS kind, NULL AS call_id, NULL AS nanos, NULL AS currency
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
        sum(times * coalesce(nanos, 0)) AS saved, sum(times) AS calls,
        coalesce(sum(times) FILTER (WHERE nanos IS NULL), 0) AS unpriced
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
WHERE (:job IS NULL OR runs.job = :job)
    AND (:tenant IS NULL OR runs.tenant = :tenant)
ORDER BY saved DESC, counted.deliveries DESC, counted.run_id;

-- name: delivered_again
-- The deliveries after a run's first, but for those that payonce made itself: out of their own index.
SELECT CAST(at / 86400 AS INTEGER) * 86400.0 AS day, runs.job, runs.tenant, queue, user_agent, count(*) AS deliveries
FROM payonce_deliveries AS again JOIN payonce_runs AS runs ON runs.id = again.run_id
WHERE (again.attempt IS NULL OR again.attempt > 1)
    AND at >= :since AND at < :until AND queue NOT IN ('wake', 'lookout')
    AND (:job IS NULL OR runs.job = :job)
    AND (:tenant IS NULL OR runs.tenant = :tenant)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, deliveries DESC, 2, 3, 4, 5;

-- name: runs_in_ledger
-- The runs of a key, those that have been pruned since, too.
SELECT run_id, job, max(tenant) AS tenant FROM payonce_entries
WHERE key = :key AND (:job IS NULL OR job = :job)
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
SELECT * FROM payonce_attempts WHERE run_id = :run_id ORDER BY number;

-- name: deliveries_of_run
-- In the order in which they came.
SELECT * FROM payonce_deliveries WHERE run_id = :run_id ORDER BY id;

-- name: old_runs
-- Which runs one step of pruning takes; the longest untouched first. Those with the last numbers
-- stay: SQLite would give them out again, and a receipt that comes late find a stranger's call.
SELECT id FROM payonce_runs
WHERE state IN (SELECT value FROM json_each(:states)) AND updated_at < :before
    AND id < (SELECT max(id) FROM payonce_runs)
    AND id NOT IN (SELECT run_id FROM payonce_calls WHERE id = (SELECT max(id) FROM payonce_calls))
ORDER BY updated_at LIMIT :most;

-- name: size_of_runs
-- How many bytes of answers and results go with them.
SELECT coalesce(sum(length(body)), 0) AS bytes FROM payonce_payloads
WHERE id IN (SELECT answer_id FROM payonce_calls WHERE run_id IN (SELECT value FROM json_each(:runs))
    UNION ALL
    SELECT result_id FROM payonce_runs WHERE id IN (SELECT value FROM json_each(:runs)));

-- name: prune_payloads
-- First, while the calls still say which they are.
DELETE FROM payonce_payloads
WHERE id IN (SELECT answer_id FROM payonce_calls WHERE run_id IN (SELECT value FROM json_each(:runs))
    UNION ALL
    SELECT result_id FROM payonce_runs WHERE id IN (SELECT value FROM json_each(:runs)));

-- name: prune_attempts
-- A run's history goes with it.
DELETE FROM payonce_attempts WHERE run_id IN (SELECT value FROM json_each(:runs));

-- name: prune_deliveries
-- So do its deliveries.
DELETE FROM payonce_deliveries WHERE run_id IN (SELECT value FROM json_each(:runs));

-- name: prune_calls
-- So do its receipts: a delivery that comes after this pays anew.
DELETE FROM payonce_calls WHERE run_id IN (SELECT value FROM json_each(:runs));

-- name: prune_balances
-- What a run has used of its own limit goes with it: one of the same key begins anew.
DELETE FROM payonce_balances
WHERE scope = 'run' AND held = 0 AND name IN (
    SELECT job || ' ' || key FROM payonce_runs WHERE id IN (SELECT value FROM json_each(:runs)));

-- name: prune_runs
-- Last, the runs themselves.
DELETE FROM payonce_runs WHERE id IN (SELECT value FROM json_each(:runs));
