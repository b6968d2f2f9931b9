-- A paid step in fewer microseconds: what a call and an entry may say is told by domains, for
-- PostgreSQL reads the CHECKs of a table anew in each statement that writes to it, and those of a
-- domain once in each connection. The usual end of a call is booked without a look at all others.
--
-- A balance that is made while a receipt is being committed would lack it for ever: neither sees the
-- other. So no receipt is counted while a balance is made, whose maker locks the others out.

CREATE DOMAIN payonce_source AS text CHECK (VALUE IN ('step', 'capture'));

CREATE DOMAIN payonce_call_state AS text
CHECK (VALUE IN ('intended', 'paid', 'released', 'in_doubt'));

CREATE DOMAIN payonce_resolution AS text
CHECK (VALUE IN ('happened', 'did_not_happen', 'pay_again'));

CREATE DOMAIN payonce_entry_kind AS text
CHECK (VALUE IN ('hold', 'settle', 'release', 'expire', 'waste', 'doubt'));

CREATE DOMAIN payonce_natural AS bigint CHECK (VALUE >= 0);

CREATE DOMAIN payonce_positive AS bigint CHECK (VALUE > 0);

CREATE DOMAIN payonce_flag AS smallint CHECK (VALUE IN (0, 1));

DROP TRIGGER payonce_calls_new ON payonce_calls;
DROP TRIGGER payonce_calls_changed ON payonce_calls;
DROP TRIGGER payonce_calls_let_go ON payonce_calls;

ALTER TABLE payonce_calls
    DROP CONSTRAINT payonce_calls_source_check,
    DROP CONSTRAINT payonce_calls_state_check,
    DROP CONSTRAINT payonce_calls_occurrence_check,
    DROP CONSTRAINT payonce_calls_send_check,
    DROP CONSTRAINT payonce_calls_rejected_check,
    DROP CONSTRAINT payonce_calls_resolution_check,
    ALTER COLUMN source TYPE payonce_source,
    ALTER COLUMN state TYPE payonce_call_state,
    ALTER COLUMN occurrence TYPE payonce_natural,
    ALTER COLUMN send TYPE payonce_positive,
    ALTER COLUMN rejected TYPE payonce_flag,
    ALTER COLUMN resolution TYPE payonce_resolution;

ALTER TABLE payonce_entries
    DROP CONSTRAINT payonce_entries_kind_check,
    ALTER COLUMN kind TYPE payonce_entry_kind;

CREATE OR REPLACE FUNCTION payonce_book() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.state = 'paid' AND OLD.state = 'intended' AND NOT EXISTS (
            SELECT FROM payonce_calls AS first
            WHERE first.run_id = NEW.run_id AND first.step_key = NEW.step_key
                AND first.occurrence = NEW.occurrence AND first.id <> NEW.id
                AND first.state = 'paid' AND first.rejected = 0)
    THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('payonce balances', 0));
        IF NOT EXISTS (SELECT FROM payonce_balances) THEN
            INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, parent_id, job, key, tenant,
                step, source, model, nanos, currency, held, began)
            SELECT NEW.ended_at, 'settle', NEW.run_id, NEW.attempt, NEW.id, NEW.parent_id, runs.job,
                runs.key, runs.tenant, NEW.name, NEW.source, NEW.model, NEW.cost_nanos, NEW.currency,
                -coalesce(OLD.hold_nanos, 0), NEW.started_at
            FROM payonce_runs AS runs WHERE runs.id = NEW.run_id;
            RETURN NULL;
        END IF;
    END IF;
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
        IF NEW.state <> 'intended' AND NEW.state <> was THEN
            PERFORM pg_advisory_xact_lock_shared(hashtextextended('payonce balances', 0));
        END IF;
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
    END;
    RETURN NULL;
END
$$;

CREATE TRIGGER payonce_calls_new AFTER INSERT ON payonce_calls FOR EACH ROW
WHEN (NEW.state <> 'intended' OR NEW.hold_nanos IS NOT NULL) EXECUTE FUNCTION payonce_book();

CREATE TRIGGER payonce_calls_changed AFTER UPDATE OF state, rejected ON payonce_calls FOR EACH ROW
WHEN (OLD.state <> NEW.state OR OLD.rejected <> NEW.rejected) EXECUTE FUNCTION payonce_book();

CREATE TRIGGER payonce_calls_let_go AFTER UPDATE OF hold_nanos ON payonce_calls FOR EACH ROW
WHEN (NEW.hold_nanos IS NULL AND OLD.hold_nanos IS NOT NULL) EXECUTE FUNCTION payonce_let_go();
