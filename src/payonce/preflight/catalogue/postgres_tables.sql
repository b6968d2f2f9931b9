-- What the tables that a job names look like, one row each: enough to compare, and to tell a change.
-- Only pg_catalog is read: it waits for no open ALTER TABLE, and shows what was not granted, too.
-- :tables is JSON: [{"place": 0, "schema": null, "name": "courses"}, …]
SELECT
    wanted.place,
    current_setting('transaction_read_only') = 'on' AS reads_only,
    json_build_object(
        'schema', t.nspname,
        'kind', t.relkind,
        'enter', has_schema_privilege(t.relnamespace, 'USAGE'),
        'select', has_table_privilege(t.oid, 'SELECT'),
        'insert', has_table_privilege(t.oid, 'INSERT'),
        'update', has_table_privilege(t.oid, 'UPDATE'),
        'delete', has_table_privilege(t.oid, 'DELETE'),
        'columns', (
            SELECT json_agg(json_build_object(
                'name', a.attname,
                'type', format_type(
                    CASE type.typtype WHEN 'd' THEN type.typbasetype ELSE a.atttypid END, NULL
                ),
                'long', a.atttypmod,
                'required', a.attnotnull OR type.typnotnull,
                'filled', a.atthasdef OR a.attidentity <> '' OR type.typdefault IS NOT NULL,
                'made', a.attgenerated <> '',
                'default', CASE WHEN a.atthasdef THEN (
                    SELECT md5(d.adbin::text) FROM pg_catalog.pg_attrdef d
                    WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
                ) END,
                'select', has_column_privilege(t.oid, a.attnum, 'SELECT'),
                'insert', has_column_privilege(t.oid, a.attnum, 'INSERT'),
                'update', has_column_privilege(t.oid, a.attnum, 'UPDATE'),
                'labels', CASE type.typtype WHEN 'e' THEN (
                    SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = type.oid
                ) END
            ) ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_type type ON type.oid = a.atttypid
            WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        ),
        'indexes', (
            SELECT md5(string_agg(concat_ws(
                ' ', i.indisunique, i.indisvalid, i.indkey, i.indpred, i.indexprs
            ), ',' ORDER BY i.indexrelid))
            FROM pg_catalog.pg_index i WHERE i.indrelid = t.oid
        ),
        'constraints', (
            SELECT md5(string_agg(concat_ws(
                ' ', k.conname, k.contype, k.conkey, k.confrelid, k.confkey, k.condeferred, k.conbin
            ), ',' ORDER BY k.conname))
            FROM pg_catalog.pg_constraint k WHERE k.conrelid = t.oid
        ),
        'triggers', (
            SELECT md5(string_agg(concat_ws(
                ' ', g.tgname, g.tgenabled, g.tgtype, p.prosrc
            ), ',' ORDER BY g.tgname))
            FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
            WHERE g.tgrelid = t.oid AND NOT g.tgisinternal
        ),
        'policies', CASE WHEN t.relrowsecurity THEN (
            SELECT concat(t.relforcerowsecurity, md5(string_agg(concat_ws(
                ' ', p.polname, p.polcmd, p.polroles, p.polqual, p.polwithcheck
            ), ',' ORDER BY p.polname)))
            FROM pg_catalog.pg_policy p WHERE p.polrelid = t.oid
        ) END,
        'parts', CASE t.relkind WHEN 'p' THEN (
            SELECT md5(string_agg(part.relpartbound::text, ',' ORDER BY part.oid))
            FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class part ON part.oid = h.inhrelid
            WHERE h.inhparent = t.oid
        ) END
    )::text
FROM json_to_recordset(:tables::json) AS wanted(place int, schema text, name text)
LEFT JOIN LATERAL (
    SELECT c.oid, c.relkind, c.relnamespace, c.relrowsecurity, c.relforcerowsecurity, n.nspname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = wanted.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND CASE WHEN wanted.schema IS NULL THEN n.nspname = ANY (current_schemas(true))
               ELSE n.nspname = wanted.schema END
    ORDER BY array_position(current_schemas(true), n.nspname)
    LIMIT 1
) t ON true
ORDER BY wanted.place
