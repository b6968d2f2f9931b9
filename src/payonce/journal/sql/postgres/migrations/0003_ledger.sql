-- The ledger and budgets. Entries are written by a trigger, in the transaction that changes a call's
-- state: no way in which that can happen may forget the money.

-- What the call may cost at most, where that is known, and what was reserved for it.
ALTER TABLE payonce_calls ADD COLUMN ceiling_nanos bigint;

ALTER TABLE payonce_calls ADD COLUMN hold_nanos bigint;

ALTER TABLE payonce_calls ADD COLUMN hold_currency text NOT NULL DEFAULT 'USD';

-- Append-only; an entry says all that sums are made by, for it outlives the run. nanos is NULL where
-- a price is not known; held is what the entry adds to the sum of all that is reserved. A doubt that
-- has ended is taken back by an entry of its negative amount. A budget's day is that in which the
-- call began, at began.
CREATE TABLE payonce_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at double precision NOT NULL,
    kind text NOT NULL
        CHECK (kind IN ('hold', 'settle', 'release', 'expire', 'waste', 'doubt')),
    run_id bigint NOT NULL,
    attempt bigint NOT NULL,
    call_id bigint NOT NULL,
    parent_id bigint,
    job text NOT NULL,
    key text NOT NULL,
    tenant text,
    step text NOT NULL,
    source text NOT NULL,
    model text,
    nanos bigint,
    currency text NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    began double precision NOT NULL
);

CREATE INDEX payonce_entries_by_time ON payonce_entries (at);

CREATE INDEX payonce_entries_by_run ON payonce_entries (run_id);

-- What a step has cost lately.
CREATE INDEX payonce_entries_by_step ON payonce_entries (job, step, id) WHERE kind = 'settle';

-- Limits that people have set, over those that the code has; nanos is NULL where one is lifted, and
-- cleared is 1 where nothing is said any more. Rows stay, for the greatest version says whether
-- anything has changed since one looked.
CREATE TABLE payonce_budgets (
    scope text NOT NULL CHECK (scope IN ('run', 'job', 'tenant', 'app')),
    name text NOT NULL,
    per text NOT NULL CHECK (per IN ('total', 'day', 'month')),
    currency text NOT NULL,
    nanos bigint CHECK (nanos >= 0),
    set_at double precision NOT NULL,
    version bigint NOT NULL,
    cleared bigint NOT NULL DEFAULT 0 CHECK (cleared IN (0, 1)),
    PRIMARY KEY (scope, name, per, currency)
);

-- How much of a limit is used in a period ("2026-06-12", "2026-06", or "" for all time): what the
-- ledger says was paid and is in doubt, of all calls that began in it, and what is reserved for those
-- in flight. unpriced counts receipts of unknown cost.
CREATE TABLE payonce_balances (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope text NOT NULL,
    name text NOT NULL,
    per text NOT NULL,
    period text NOT NULL,
    currency text NOT NULL,
    limit_nanos bigint NOT NULL,
    spent bigint NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    doubt bigint NOT NULL DEFAULT 0,
    unpriced bigint NOT NULL DEFAULT 0,
    UNIQUE (scope, name, per, period, currency)
) WITH (fillfactor = 50);

-- Which balances a call in flight is reserved in.
CREATE TABLE payonce_holds (
    call_id bigint NOT NULL,
    balance_id bigint NOT NULL,
    PRIMARY KEY (call_id, balance_id)
);

-- The hold of a call that may have been billed becomes a doubt of what that may have cost at most;
-- what ends a doubt is booked on the day of the doubt, so that each day adds up. A second receipt in
-- one place is waste from the beginning. A receipt and a doubt count in every balance that concerns
-- the call, whether it was held or not: limits may be set while it is in flight. Balances are locked
-- in one order.
CREATE FUNCTION payonce_book() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    was text := CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.state END;
    was_held bigint := CASE was WHEN 'intended' THEN coalesce(OLD.hold_nanos, 0) ELSE 0 END;
    settles boolean := NEW.state = 'paid' AND was <> 'paid';
    doubts boolean := NEW.state = 'in_doubt' AND was IN ('none', 'intended');
    certain boolean := was = 'in_doubt' AND NEW.state <> 'in_doubt';
    rejects boolean := CASE TG_OP WHEN 'INSERT' THEN false ELSE NEW.rejected > OLD.rejected END;
BEGIN
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
        step, source, model, nanos, currency, held, began)
    SELECT booked.at, booked.kind, NEW.run_id, NEW.attempt, NEW.id, NEW.parent_id,
        runs.job, runs.key, runs.tenant, NEW.name, NEW.source,
        NEW.model, booked.nanos, booked.currency, booked.held, NEW.started_at
    FROM payonce_runs AS runs CROSS JOIN (VALUES
        ('hold', was = 'none' AND NEW.hold_nanos IS NOT NULL, NEW.started_at, NEW.hold_nanos,
            NEW.hold_currency, NEW.hold_nanos),
        ('doubt', certain, CASE WHEN certain THEN OLD.ended_at END, -NEW.ceiling_nanos,
            NEW.hold_currency, 0),
        ('settle', settles, NEW.ended_at, NEW.cost_nanos, NEW.currency, -was_held),
        ('waste', rejects OR settles AND EXISTS (
            SELECT FROM payonce_calls AS first
            WHERE first.run_id = NEW.run_id AND first.step_key = NEW.step_key
                AND first.occurrence = NEW.occurrence AND first.id <> NEW.id
                AND first.state = 'paid' AND first.rejected = 0), NEW.ended_at, NEW.cost_nanos, NEW.currency, 0),
        ('release', NEW.state = 'released' AND was = 'intended' AND NEW.hold_nanos IS NOT NULL,
            NEW.ended_at, NEW.hold_nanos, NEW.hold_currency, -was_held),
        ('expire', doubts AND NEW.hold_nanos IS NOT NULL, NEW.ended_at, NEW.hold_nanos,
            NEW.hold_currency, -was_held),
        ('doubt', doubts, NEW.ended_at, NEW.ceiling_nanos, NEW.hold_currency, 0)
    ) AS booked (kind, applies, at, nanos, currency, held)
    WHERE runs.id = NEW.run_id AND booked.applies;
    IF NEW.state <> 'intended' AND NEW.state <> was
        AND EXISTS (SELECT FROM payonce_balances)
    THEN
        WITH concerned AS MATERIALIZED (
            SELECT b.id, b.currency, holds.call_id IS NOT NULL AS holding
            FROM payonce_runs AS runs
            CROSS JOIN (SELECT to_timestamp(floor(NEW.started_at)) AT TIME ZONE 'UTC' AS at) AS began
            CROSS JOIN LATERAL (VALUES ('app', '*'), ('job', runs.job), ('tenant', runs.tenant),
                ('run', runs.job || ' ' || runs.key)) AS whose (scope, name)
            JOIN payonce_balances AS b ON b.scope = whose.scope AND b.name = whose.name
                AND b.period IN ('', to_char(began.at, 'YYYY-MM-DD'), to_char(began.at, 'YYYY-MM'))
            LEFT JOIN payonce_holds AS holds ON holds.call_id = NEW.id AND holds.balance_id = b.id
            WHERE runs.id = NEW.run_id
                AND (holds.call_id IS NOT NULL OR settles OR doubts OR certain)
            ORDER BY b.id
            FOR NO KEY UPDATE OF b
        )
        UPDATE payonce_balances AS balances
        SET held = held - CASE WHEN concerned.holding THEN was_held ELSE 0 END,
            doubt = doubt + CASE WHEN concerned.currency <> NEW.hold_currency THEN 0
                WHEN doubts THEN coalesce(NEW.ceiling_nanos, 0)
                WHEN certain THEN -coalesce(NEW.ceiling_nanos, 0) ELSE 0 END,
            spent = spent + CASE WHEN settles AND NEW.currency = concerned.currency
                THEN coalesce(NEW.cost_nanos, 0) ELSE 0 END,
            unpriced = unpriced + CASE WHEN settles AND NEW.hold_nanos IS NOT NULL
                AND NEW.hold_currency = concerned.currency
                AND (NEW.cost_nanos IS NULL OR NEW.currency <> concerned.currency)
                THEN 1 ELSE 0 END
        FROM concerned
        WHERE balances.id = concerned.id;
        IF was = 'intended' AND NEW.hold_nanos IS NOT NULL THEN
            DELETE FROM payonce_holds WHERE call_id = NEW.id;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER payonce_calls_new AFTER INSERT ON payonce_calls FOR EACH ROW
WHEN (NEW.state <> 'intended' OR NEW.hold_nanos IS NOT NULL) EXECUTE FUNCTION payonce_book();

CREATE TRIGGER payonce_calls_changed AFTER UPDATE OF state, rejected ON payonce_calls FOR EACH ROW
WHEN (OLD.state <> NEW.state OR OLD.rejected <> NEW.rejected) EXECUTE FUNCTION payonce_book();

-- A hold may end before its call does: calls inside of it are held in its place.
CREATE FUNCTION payonce_let_go() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
        step, source, model, nanos, currency, held, began)
    SELECT OLD.started_at, 'release', OLD.run_id, OLD.attempt, OLD.id, OLD.parent_id,
        runs.job, runs.key, runs.tenant, OLD.name, OLD.source, OLD.model, OLD.hold_nanos,
        OLD.hold_currency, -OLD.hold_nanos, OLD.started_at
    FROM payonce_runs AS runs WHERE runs.id = OLD.run_id;
    WITH holding AS MATERIALIZED (
        SELECT b.id FROM payonce_holds AS holds
        JOIN payonce_balances AS b ON b.id = holds.balance_id
        WHERE holds.call_id = OLD.id
        ORDER BY b.id
        FOR NO KEY UPDATE OF b
    )
    UPDATE payonce_balances AS balances SET held = held - OLD.hold_nanos
    FROM holding WHERE balances.id = holding.id;
    DELETE FROM payonce_holds WHERE call_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER payonce_calls_let_go AFTER UPDATE OF hold_nanos ON payonce_calls FOR EACH ROW
WHEN (NEW.hold_nanos IS NULL AND OLD.hold_nanos IS NOT NULL) EXECUTE FUNCTION payonce_let_go();
