-- Runs held at the door because others failed in this world, and rights that one process has.

ALTER TABLE payonce_runs ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));

CREATE INDEX payonce_runs_failed ON payonce_runs (job, world_code, world_schema, updated_at)
WHERE held = 0 AND state <> 'done';

CREATE INDEX payonce_runs_done ON payonce_runs (job, world_code, world_schema, updated_at)
WHERE state = 'done';

CREATE TABLE payonce_claims (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until REAL NOT NULL
) STRICT;
