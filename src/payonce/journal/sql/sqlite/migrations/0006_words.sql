-- Calls and entries are checked word by word: for `IN (...)` SQLite builds a table of its own in each
-- statement, which took a tenth of the time of a paid step. A CHECK can't be changed in place, so both
-- are made anew, with the indices, the view and the triggers that belong to them.

DROP VIEW payonce_booking;

DROP TRIGGER IF EXISTS payonce_calls_hold;
DROP TRIGGER IF EXISTS payonce_calls_paid;
DROP TRIGGER IF EXISTS payonce_calls_second;
DROP TRIGGER IF EXISTS payonce_calls_state;
DROP TRIGGER IF EXISTS payonce_calls_counted;
DROP TRIGGER IF EXISTS payonce_calls_held;
DROP TRIGGER IF EXISTS payonce_calls_waste;
DROP TRIGGER IF EXISTS payonce_calls_let_go;

ALTER TABLE payonce_calls RENAME TO payonce_calls_before;

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

INSERT INTO payonce_calls
    (id, run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, rejected,
    reason, resolution, model, usage, cost_nanos, currency, idempotency_key, started_at,
    ended_at, answer_id, drift, ceiling_nanos, hold_nanos, hold_currency)
SELECT id, run_id, attempt, step_key, occurrence, send, name, source, parent_id, state, rejected,
    reason, resolution, model, usage, cost_nanos, currency, idempotency_key, started_at,
    ended_at, answer_id, drift, ceiling_nanos, hold_nanos, hold_currency
FROM payonce_calls_before ORDER BY id;

DROP TABLE payonce_calls_before;

ALTER TABLE payonce_entries RENAME TO payonce_entries_before;

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

INSERT INTO payonce_entries
    (id, at, kind, run_id, attempt, call_id, parent_id, job, key, tenant, step, source, model,
    nanos, currency, held, began)
SELECT id, at, kind, run_id, attempt, call_id, parent_id, job, key, tenant, step, source, model,
    nanos, currency, held, began
FROM payonce_entries_before ORDER BY id;

DROP TABLE payonce_entries_before;

CREATE INDEX payonce_entries_by_time ON payonce_entries (at, kind, currency, nanos);

CREATE INDEX payonce_entries_besides ON payonce_entries (at, kind, currency, nanos)
WHERE kind IN ('waste', 'doubt');

CREATE INDEX payonce_entries_by_run ON payonce_entries (run_id);

CREATE INDEX payonce_entries_by_step ON payonce_entries (job, step, id) WHERE kind = 'settle';

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

CREATE TRIGGER payonce_calls_waste AFTER UPDATE OF rejected ON payonce_calls
WHEN NEW.rejected = 1 AND OLD.rejected = 0
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.ended_at, 'waste', NEW.id, NEW.cost_nanos, NEW.currency, 0);
END;

CREATE TRIGGER payonce_calls_let_go AFTER UPDATE OF hold_nanos ON payonce_calls
WHEN NEW.hold_nanos IS NULL AND OLD.hold_nanos IS NOT NULL
BEGIN
    INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
    VALUES (NEW.started_at, 'release', NEW.id, OLD.hold_nanos, NEW.hold_currency, -OLD.hold_nanos);
    UPDATE payonce_balances SET held = held - OLD.hold_nanos
    WHERE id IN (SELECT balance_id FROM payonce_holds WHERE call_id = NEW.id);
    DELETE FROM payonce_holds WHERE call_id = NEW.id;
END;
