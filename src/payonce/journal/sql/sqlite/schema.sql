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

CREATE TABLE payonce_calls (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES payonce_runs (id),
    attempt INTEGER NOT NULL,
    step_key TEXT NOT NULL,
    occurrence INTEGER NOT NULL CHECK (occurrence >= 0),
    send INTEGER NOT NULL CHECK (send > 0),
    name TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('step', 'capture')),
    parent_id INTEGER,
    state TEXT NOT NULL CHECK (state IN ('intended', 'paid', 'released', 'in_doubt')),
    rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected IN (0, 1)),
    reason TEXT,
    resolution TEXT CHECK (resolution IN ('happened', 'did_not_happen', 'pay_again')),
    model TEXT,
    usage TEXT,
    cost_nanos INTEGER,
    currency TEXT NOT NULL DEFAULT 'USD',
    idempotency_key TEXT,
    started_at REAL NOT NULL,
    ended_at REAL,
    answer_id INTEGER REFERENCES payonce_payloads (id), drift TEXT,
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
