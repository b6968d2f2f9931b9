-- The ledger and budgets. Entries are written by a trigger, in the transaction that changes a call's
-- state: no way in which that can happen may forget the money.

-- What the call may cost at most, where that is known, and what was reserved for it.
ALTER TABLE payonce_calls ADD COLUMN ceiling_nanos bigint;

ALTER TABLE payonce_calls ADD COLUMN hold_nanos bigint;

ALTER TABLE payonce_calls ADD COLUMN hold_currency text NOT NULL DEFAULT 'USD';

-- Append-only; an entry says all that sums are made by, for it outlives the run. nanos is NULL where
-- a price is not known; held is what the entry adds to the sum of all that is reserved. A doubt that
-- has ended is taken back by an entry of its negative amount.
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
    held bigint NOT NULL DEFAULT 0
);

CREATE INDEX payonce_entries_by_time ON payonce_entries (at);

CREATE INDEX payonce_entries_by_run ON payonce_entries (run_id);

-- What a step has cost lately.
CREATE INDEX payonce_entries_by_step ON payonce_entries (job, step, id) WHERE kind = 'settle';

-- Limits that people have set, over those that the code has; nanos is NULL where one is lifted. The
-- greatest version says whether anything has changed since one looked.
CREATE TABLE payonce_budgets (
    scope text NOT NULL CHECK (scope IN ('run', 'job', 'tenant', 'app')),
    name text NOT NULL,
    per text NOT NULL CHECK (per IN ('total', 'day', 'month')),
    currency text NOT NULL,
    nanos bigint CHECK (nanos >= 0),
    set_at double precision NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (scope, name, per, currency)
);

-- How much of a limit is used in a period ("2026-06-12", "2026-06", or "" for all time): what was
-- paid, what is reserved for calls in flight, what is in doubt. unpriced counts receipts of unknown
-- cost.
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

-- Which balances a call in flight, or in doubt, is reserved in.
CREATE TABLE payonce_holds (
    call_id bigint NOT NULL,
    balance_id bigint NOT NULL,
    PRIMARY KEY (call_id, balance_id)
);

-- The hold of a call that may have been billed becomes a doubt of what that may have cost at most;
-- what ends a doubt is booked on the day of the doubt, so that each day adds up. A second receipt in
-- one place is waste from the beginning.
CREATE FUNCTION payonce_book() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    was text := CASE TG_OP WHEN 'INSERT' THEN 'none' ELSE OLD.state END;
    was_held bigint := CASE was WHEN 'intended' THEN coalesce(OLD.hold_nanos, 0) ELSE 0 END;
    settles boolean := NEW.state = 'paid' AND was <> 'paid';
    doubts boolean := NEW.state = 'in_doubt' AND was IN ('none', 'intended');
    certain boolean := was = 'in_doubt' AND NEW.state <> 'in_doubt';
    wastes boolean := CASE TG_OP WHEN 'INSERT' THEN false ELSE NEW.rejected > OLD.rejected END
        OR settles AND EXISTS (
            SELECT FROM payonce_calls AS first
            WHERE first.run_id = NEW.run_id AND first.step_key = NEW.step_key
                AND first.occurrence = NEW.occurrence AND first.id <> NEW.id
                AND first.state = 'paid' AND first.rejected = 0);
BEGIN
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
        step, source, model, nanos, currency, held)
    SELECT booked.at, booked.kind, NEW.run_id, NEW.attempt, NEW.id, NEW.parent_id,
        coalesce(runs.job, ''), coalesce(runs.key, ''), runs.tenant, NEW.name, NEW.source,
        NEW.model, booked.nanos, booked.currency, booked.held
    FROM (VALUES
        ('hold', was = 'none' AND NEW.hold_nanos IS NOT NULL, NEW.started_at, NEW.hold_nanos,
            NEW.hold_currency, NEW.hold_nanos),
        ('doubt', certain, CASE WHEN certain THEN OLD.ended_at END, -NEW.ceiling_nanos,
            NEW.hold_currency, 0),
        ('settle', settles, NEW.ended_at, NEW.cost_nanos, NEW.currency, -was_held),
        ('waste', wastes, NEW.ended_at, NEW.cost_nanos, NEW.currency, 0),
        ('release', NEW.state = 'released' AND was = 'intended' AND NEW.hold_nanos IS NOT NULL,
            NEW.ended_at, NEW.hold_nanos, NEW.hold_currency, -was_held),
        ('expire', doubts AND NEW.hold_nanos IS NOT NULL, NEW.ended_at, NEW.hold_nanos,
            NEW.hold_currency, -was_held),
        ('doubt', doubts, NEW.ended_at, NEW.ceiling_nanos, NEW.hold_currency, 0)
    ) AS booked (kind, applies, at, nanos, currency, held)
    LEFT JOIN payonce_runs AS runs ON runs.id = NEW.run_id
    WHERE booked.applies;
    IF NEW.hold_nanos IS NOT NULL AND was <> NEW.state AND was <> 'none' THEN
        UPDATE payonce_balances AS balances
        SET held = held - was_held,
            doubt = doubt + CASE WHEN doubts THEN 1 WHEN certain THEN -1 ELSE 0 END
                * coalesce(NEW.ceiling_nanos, 0),
            spent = spent + CASE WHEN settles AND NEW.currency = balances.currency
                THEN coalesce(NEW.cost_nanos, 0) ELSE 0 END,
            unpriced = unpriced + CASE WHEN settles
                AND (NEW.cost_nanos IS NULL OR NEW.currency <> balances.currency)
                THEN 1 ELSE 0 END
        FROM payonce_holds AS holds
        WHERE holds.call_id = NEW.id AND balances.id = holds.balance_id;
        IF NEW.state IN ('paid', 'released') THEN
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
