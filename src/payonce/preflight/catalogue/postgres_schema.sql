-- A hash of all schemas but the server's own and payonce's tables, made in the server.
SELECT md5(concat(
    (
        SELECT md5(string_agg(concat_ws(
            ' ', n.nspname, c.relname, c.relkind, c.relacl, c.relrowsecurity,
            a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity,
            a.attgenerated, a.attacl
        ), ',' ORDER BY n.nspname, c.relname, a.attnum))
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT a.attisdropped
          AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
          AND c.relname NOT LIKE 'payonce\_%'
    ),
    (
        SELECT md5(string_agg(concat_ws(
            ' ', t.relname, i.indisunique, i.indisvalid, i.indkey, i.indpred, i.indexprs
        ), ',' ORDER BY i.indexrelid))
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
        WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
          AND t.relname NOT LIKE 'payonce\_%'
    ),
    (
        SELECT md5(string_agg(concat_ws(
            ' ', k.conrelid, k.conname, k.contype, k.conkey, k.confrelid, k.confkey, k.conbin
        ), ',' ORDER BY k.oid))
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
        LEFT JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
        WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
          AND coalesce(t.relname, '') NOT LIKE 'payonce\_%'
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', e.enumtypid, e.enumlabel), ',' ORDER BY e.oid))
        FROM pg_catalog.pg_enum e
    ),
    (
        SELECT md5(string_agg(concat_ws(
            ' ', n.nspname, p.proname, p.proargtypes, p.proacl, p.prosrc
        ), ',' ORDER BY p.oid))
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
          AND p.proname NOT LIKE 'payonce\_%'
    ),
    (
        SELECT md5(string_agg(concat_ws(
            ' ', g.tgrelid, g.tgname, g.tgenabled, g.tgfoid, g.tgtype
        ), ',' ORDER BY g.oid))
        FROM pg_catalog.pg_trigger g
        JOIN pg_catalog.pg_class t ON t.oid = g.tgrelid
        WHERE NOT g.tgisinternal AND t.relname NOT LIKE 'payonce\_%'
    ),
    (
        SELECT md5(string_agg(concat_ws(
            ' ', p.polrelid, p.polname, p.polcmd, p.polroles, p.polqual, p.polwithcheck
        ), ',' ORDER BY p.oid))
        FROM pg_catalog.pg_policy p
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', n.nspname, n.nspacl), ',' ORDER BY n.nspname))
        FROM pg_catalog.pg_namespace n
        WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
    )
))
