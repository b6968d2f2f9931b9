-- The journal's tables as all migrations leave them; a test holds the two together.
--
-- A run's life:      waiting ──► running ──► done
--                       ▲           ├──────► waiting   (tried again at retry_at)
--                       │           └──────► parked ──► running  (the world changed, or woken)
--                       └── running, its lease expired or its process dead: taken over
-- A parked run with held = 1 has not failed itself: others have, by the cause that it names.
-- A call's life:     intended ──► paid        answered and billed; rejected = 1 marks waste
--                            ├──► released    surely not billed
--                            └──► in_doubt    crash, timeout, cut; a late receipt still pays it
-- Times are seconds since the epoch; money is whole nano-units of its currency.

CREATE TABLE payonce_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at REAL NOT NULL
) STRICT;

-- Large values are kept apart from the hot rows; codec says how to read the body back.
CREATE TABLE payonce_payloads (
    id INTEGER PRIMARY KEY,
    codec TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE payonce_runs (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    key TEXT NOT NULL,
    tenant TEXT,
    state TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'parked', 'done')),
    attempt INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    kills INTEGER NOT NULL DEFAULT 0,
    killed_at TEXT,
    lease_owner TEXT,
    lease_until REAL,
    retry_at REAL,
    arguments BLOB NOT NULL,
    arguments_fingerprint TEXT NOT NULL,
    reason TEXT,
    kind TEXT,
    evidence TEXT,
    fingerprint TEXT,
    wakes_on TEXT NOT NULL DEFAULT '',
    world_code TEXT,
    world_schema TEXT,
    result_id INTEGER REFERENCES payonce_payloads (id),
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL, held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    UNIQUE (job, key),
    CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CHECK (state <> 'parked' OR reason IS NOT NULL)
) STRICT;

CREATE INDEX payonce_runs_by_state ON payonce_runs (state, updated_at);

-- How a job fares in one world: what failed there, and when a run of it was last done.
CREATE INDEX payonce_runs_failed ON payonce_runs (job, world_code, world_schema, updated_at)
WHERE held = 0 AND state <> 'done';

CREATE INDEX payonce_runs_done ON payonce_runs (job, world_code, world_schema, updated_at)
WHERE state = 'done';

CREATE TABLE payonce_attempts (
    run_id INTEGER NOT NULL REFERENCES payonce_runs (id),
    number INTEGER NOT NULL CHECK (number > 0),
    owner TEXT NOT NULL,
    world_code TEXT NOT NULL,
    world_schema TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT CHECK (outcome IN ('done', 'retry', 'parked', 'lost')),
    kind TEXT,
    reason TEXT,
    error TEXT,
    fingerprint TEXT,
    at_step TEXT,
    PRIMARY KEY (run_id, number),
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE payonce_deliveries (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES payonce_runs (id),
    attempt INTEGER,
    at REAL NOT NULL,
    queue TEXT NOT NULL,
    message TEXT,
    retry_count INTEGER,
    previous_response TEXT,
    user_agent TEXT,
    answer TEXT
) STRICT;

CREATE INDEX payonce_deliveries_by_run ON payonce_deliveries (run_id);

-- Those after a run's first.
CREATE INDEX payonce_deliveries_again ON payonce_deliveries (at)
WHERE attempt IS NULL OR attempt > 1;

-- A word is compared with each that it may be: for a list SQLite would build a table of its own in
-- each statement.
CREATE TABLE payonce_calls (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES payonce_runs (id),
    attempt INTEGER NOT NULL,
    step_key TEXT NOT NULL,
    occurrence INTEGER NOT NULL CHECK (occurrence >= 0),
    send INTEGER NOT NULL CHECK (send > 0),
    name TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source = 'step' OR source = 'capture'),
    parent_id INTEGER,
    state TEXT NOT NULL CHECK (
        state = 'intended' OR state = 'paid' OR state = 'released' OR state = 'in_doubt'),
    rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected = 0 OR rejected = 1),
    reason TEXT,
    resolution TEXT CHECK (
        resolution = 'happened' OR resolution = 'did_not_happen' OR resolution = 'pay_again'),
    model TEXT,
    usage TEXT,
    cost_nanos INTEGER,
    currency TEXT NOT NULL DEFAULT 'USD',
    idempotency_key TEXT,
    started_at REAL NOT NULL,
    ended_at REAL,
    answer_id INTEGER REFERENCES payonce_payloads (id),
    drift TEXT,
    ceiling_nanos INTEGER,
    hold_nanos INTEGER,
    hold_currency TEXT NOT NULL DEFAULT 'USD',
    UNIQUE (run_id, step_key, occurrence, send),
    CHECK ((state = 'paid') = (answer_id IS NOT NULL)),
    CHECK (rejected = 0 OR state = 'paid')
) STRICT;

-- Rights that one process of all has for a while: to look after parked runs, to tell of a cause.
CREATE TABLE payonce_claims (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until REAL NOT NULL
) STRICT;

-- Append-only; an entry says all that sums are made by, for it outlives the run. nanos is NULL where
-- a price is not known; held is what the entry adds to the sum of all that is reserved. A doubt that
-- has ended is taken back by an entry of its negative amount. A budget's day is that in which the
-- call began, at began.
CREATE TABLE payonce_entries (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind = 'settle' OR kind = 'hold' OR kind = 'release' OR kind = 'expire'
            OR kind = 'waste' OR kind = 'doubt'),
    run_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    call_id INTEGER NOT NULL,
    parent_id INTEGER,
    job TEXT NOT NULL,
    key TEXT NOT NULL,
    tenant TEXT,
    step TEXT NOT NULL,
    source TEXT NOT NULL,
    model TEXT,
    nanos INTEGER,
    currency TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    began REAL NOT NULL
) STRICT;

-- A period's sums come out of this index alone.
CREATE INDEX payonce_entries_by_time ON payonce_entries (at, kind, currency, nanos);

-- What a period wasted, and what is in doubt: few entries, found at once.
CREATE INDEX payonce_entries_besides ON payonce_entries (at, kind, currency, nanos)
WHERE kind IN ('waste', 'doubt');

CREATE INDEX payonce_entries_by_run ON payonce_entries (run_id);

-- What a step has cost lately.
CREATE INDEX payonce_entries_by_step ON payonce_entries (job, step, id) WHERE kind = 'settle';

-- Limits that people have set, over those that the code has; nanos is NULL where one is lifted, and
-- cleared is 1 where nothing is said any more. Rows stay, for the greatest version says whether
-- anything has changed since one looked.
CREATE TABLE payonce_budgets (
    scope TEXT NOT NULL CHECK (scope IN ('run', 'job', 'tenant', 'app')),
    name TEXT NOT NULL,
    per TEXT NOT NULL CHECK (per IN ('total', 'day', 'month')),
    currency TEXT NOT NULL,
    nanos INTEGER CHECK (nanos >= 0),
    set_at REAL NOT NULL,
    version INTEGER NOT NULL,
    cleared INTEGER NOT NULL DEFAULT 0 CHECK (cleared IN (0, 1)),
    PRIMARY KEY (scope, name, per, currency)
) STRICT, WITHOUT ROWID;

-- How much of a limit is used in a period ("2026-06-12", "2026-06", or "" for all time): what the
-- ledger says was paid and is in doubt, of all calls that began in it, and what is reserved for those
-- in flight. unpriced counts receipts of unknown cost.
CREATE TABLE payonce_balances (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    per TEXT NOT NULL,
    period TEXT NOT NULL,
    currency TEXT NOT NULL,
    limit_nanos INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    doubt INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, name, per, period, currency)
) STRICT;

-- Which balances a call in flight is reserved in.
CREATE TABLE payonce_holds (
    call_id INTEGER NOT NULL,
    balance_id INTEGER NOT NULL,
    PRIMARY KEY (call_id, balance_id)
) STRICT, WITHOUT ROWID;

-- An entry is written through this view, which adds what is known of the call and its run.
CREATE VIEW payonce_booking AS SELECT at, kind, call_id, nanos, currency, held FROM payonce_entries;

CREATE TRIGGER payonce_book INSTEAD OF INSERT ON payonce_booking
BEGIN
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
        step, source, model, nanos, currency, held, began)
    SELECT NEW.at, NEW.kind, calls.run_id, calls.attempt, calls.id, calls.parent_id, runs.job,
        runs.key, runs.tenant, calls.name, calls.source, calls.model, NEW.nanos, NEW.currency,
        NEW.held, calls.started_at
    FROM payonce_calls AS calls JOIN payonce_runs AS runs ON runs.id = calls.run_id
    WHERE calls.id = NEW.call_id;
END;

CREATE TRIGGER payonce_calls_hold AFTER INSERT ON payonce_calls
WHEN NEW.hold_nanos IS NOT NULL
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.started_at, 'hold', NEW.id, NEW.hold_nanos, NEW.hold_currency, NEW.hold_nanos);
END;

-- The usual end of a call, which each paid step waits for. A second receipt in one place is waste
-- from the beginning.
CREATE TRIGGER payonce_calls_paid AFTER UPDATE OF state ON payonce_calls
WHEN NEW.state = 'paid' AND OLD.state = 'intended'
BEGIN
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
        step, source, model, nanos, currency, held, began)
    SELECT NEW.ended_at, 'settle', NEW.run_id, NEW.attempt, NEW.id, NEW.parent_id, job, key, tenant,
        NEW.name, NEW.source, NEW.model, NEW.cost_nanos, NEW.currency, -coalesce(NEW.hold_nanos, 0),
        NEW.started_at
    FROM payonce_runs WHERE id = NEW.run_id;
END;

CREATE TRIGGER payonce_calls_second AFTER UPDATE OF state ON payonce_calls
WHEN NEW.state = 'paid' AND OLD.state = 'intended' AND EXISTS (
    SELECT 1 FROM payonce_calls AS first
    WHERE first.run_id = NEW.run_id AND first.step_key = NEW.step_key
        AND first.occurrence = NEW.occurrence AND first.id <> NEW.id
        AND first.state = 'paid' AND first.rejected = 0)
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.ended_at, 'waste', NEW.id, NEW.cost_nanos, NEW.currency, 0);
END;

-- The hold of a call that may have been billed becomes a doubt of what that may have cost at most;
-- what ends a doubt is booked on the day of the doubt, so that each day adds up.
CREATE TRIGGER payonce_calls_state AFTER UPDATE OF state ON payonce_calls
WHEN NEW.state <> OLD.state AND NOT (NEW.state = 'paid' AND OLD.state = 'intended')
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    SELECT OLD.ended_at, 'doubt', NEW.id, -NEW.ceiling_nanos, NEW.hold_currency, 0
    WHERE OLD.state = 'in_doubt';
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    SELECT NEW.ended_at, 'settle', NEW.id, NEW.cost_nanos, NEW.currency, 0
    WHERE NEW.state = 'paid';
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    SELECT NEW.ended_at, 'waste', NEW.id, NEW.cost_nanos, NEW.currency, 0
    WHERE NEW.state = 'paid' AND EXISTS (
        SELECT 1 FROM payonce_calls AS first
        WHERE first.run_id = NEW.run_id AND first.step_key = NEW.step_key
            AND first.occurrence = NEW.occurrence AND first.id <> NEW.id
            AND first.state = 'paid' AND first.rejected = 0);
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    SELECT NEW.ended_at, CASE NEW.state WHEN 'released' THEN 'release' ELSE 'expire' END, NEW.id,
        NEW.hold_nanos, NEW.hold_currency, -NEW.hold_nanos
    WHERE OLD.state = 'intended' AND NEW.hold_nanos IS NOT NULL;
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    SELECT NEW.ended_at, 'doubt', NEW.id, NEW.ceiling_nanos, NEW.hold_currency, 0
    WHERE NEW.state = 'in_doubt';
END;

-- A receipt and a doubt count in every balance that concerns the call, whether it was held or not:
-- limits may be set while it is in flight.
CREATE TRIGGER payonce_calls_counted AFTER UPDATE OF state ON payonce_calls
WHEN NEW.state <> OLD.state AND EXISTS (SELECT 1 FROM payonce_balances)
BEGIN
    UPDATE payonce_balances
    SET doubt = doubt + CASE WHEN currency = NEW.hold_currency
            THEN ((NEW.state = 'in_doubt') - (OLD.state = 'in_doubt'))
                * coalesce(NEW.ceiling_nanos, 0) ELSE 0 END,
        spent = spent + CASE WHEN NEW.state = 'paid' AND NEW.currency = currency
            THEN coalesce(NEW.cost_nanos, 0) ELSE 0 END,
        unpriced = unpriced + (NEW.state = 'paid' AND NEW.hold_nanos IS NOT NULL
            AND NEW.hold_currency = currency
            AND (NEW.cost_nanos IS NULL OR NEW.currency <> currency))
    WHERE (scope, name) IN (
        SELECT 'app', '*'
        UNION ALL SELECT 'job', job FROM payonce_runs WHERE id = NEW.run_id
        UNION ALL SELECT 'tenant', tenant FROM payonce_runs WHERE id = NEW.run_id
        UNION ALL SELECT 'run', job || ' ' || key FROM payonce_runs WHERE id = NEW.run_id)
    AND period IN ('', strftime('%Y-%m-%d', CAST(NEW.started_at AS INTEGER), 'unixepoch'),
        strftime('%Y-%m', CAST(NEW.started_at AS INTEGER), 'unixepoch'));
END;

CREATE TRIGGER payonce_calls_held AFTER UPDATE OF state ON payonce_calls
WHEN OLD.state = 'intended' AND NEW.state <> 'intended' AND NEW.hold_nanos IS NOT NULL
BEGIN
    UPDATE payonce_balances SET held = held - NEW.hold_nanos
    WHERE id IN (SELECT balance_id FROM payonce_holds WHERE call_id = NEW.id);
    DELETE FROM payonce_holds WHERE call_id = NEW.id;
END;

-- A rejected receipt is waste, of the day on which it was paid.
CREATE TRIGGER payonce_calls_waste AFTER UPDATE OF rejected ON payonce_calls
WHEN NEW.rejected = 1 AND OLD.rejected = 0
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.ended_at, 'waste', NEW.id, NEW.cost_nanos, NEW.currency, 0);
END;

-- A hold may end before its call does: calls inside of it are held in its place.
CREATE TRIGGER payonce_calls_let_go AFTER UPDATE OF hold_nanos ON payonce_calls
WHEN NEW.hold_nanos IS NULL AND OLD.hold_nanos IS NOT NULL
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.started_at, 'release', NEW.id, OLD.hold_nanos, NEW.hold_currency, -OLD.hold_nanos);
    UPDATE payonce_balances SET held = held - OLD.hold_nanos
    WHERE id IN (SELECT balance_id FROM payonce_holds WHERE call_id = NEW.id);
    DELETE FROM payonce_holds WHERE call_id = NEW.id;
END;
