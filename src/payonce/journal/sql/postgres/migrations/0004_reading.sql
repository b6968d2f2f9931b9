-- What `why` reads: a period's sums out of an index alone, and the deliveries after a run's first.

DROP INDEX payonce_entries_by_time;

CREATE INDEX payonce_entries_by_time ON payonce_entries (at, kind, currency, nanos);

CREATE INDEX payonce_entries_besides ON payonce_entries (at, kind, currency, nanos)
WHERE kind IN ('waste', 'doubt');

CREATE INDEX payonce_deliveries_again ON payonce_deliveries (at)
WHERE attempt IS NULL OR attempt > 1;
