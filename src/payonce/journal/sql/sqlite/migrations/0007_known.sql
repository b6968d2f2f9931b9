-- What was paid, rejected or in doubt before there was a ledger is entered into it, as of when it
-- was: what a run has spent counts in its budget, and the sums are those of the bill.

INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
SELECT coalesce(ended_at, started_at), 'settle', id, cost_nanos, currency, 0
FROM payonce_calls AS calls
WHERE state = 'paid' AND NOT EXISTS (
    SELECT 1 FROM payonce_entries AS entries
    WHERE entries.run_id = calls.run_id AND entries.call_id = calls.id AND kind = 'settle')
ORDER BY coalesce(ended_at, started_at);

INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
SELECT coalesce(ended_at, started_at), 'waste', id, cost_nanos, currency, 0
FROM payonce_calls AS calls
WHERE state = 'paid' AND rejected = 1 AND NOT EXISTS (
    SELECT 1 FROM payonce_entries AS entries
    WHERE entries.run_id = calls.run_id AND entries.call_id = calls.id AND kind = 'waste')
ORDER BY coalesce(ended_at, started_at);

INSERT INTO payonce_booking (at, kind, call_id, nanos, currency, held)
SELECT coalesce(ended_at, started_at), 'doubt', id, ceiling_nanos, hold_currency, 0
FROM payonce_calls AS calls
WHERE state = 'in_doubt' AND NOT EXISTS (
    SELECT 1 FROM payonce_entries AS entries
    WHERE entries.run_id = calls.run_id AND entries.call_id = calls.id AND kind = 'doubt')
ORDER BY coalesce(ended_at, started_at);
