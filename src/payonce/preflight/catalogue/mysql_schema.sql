-- Hashes of the connection's own database but for payonce's tables, made in the server.
SELECT count(*), bit_xor(cast(conv(left(md5(concat_ws(
    ' ', table_name, column_name, column_type, is_nullable, column_default, extra, privileges
)), 16), 16, 10) AS unsigned))
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name NOT LIKE 'payonce\_%'
UNION ALL
SELECT count(*), bit_xor(cast(conv(left(md5(concat_ws(
    ' ', table_name, index_name, non_unique, seq_in_index, column_name
)), 16), 16, 10) AS unsigned))
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name NOT LIKE 'payonce\_%'
UNION ALL
SELECT count(*), bit_xor(cast(conv(left(md5(concat_ws(
    ' ', table_name, constraint_name, constraint_type
)), 16), 16, 10) AS unsigned))
FROM information_schema.table_constraints
WHERE table_schema = DATABASE() AND table_name NOT LIKE 'payonce\_%'
UNION ALL
SELECT count(*), bit_xor(cast(conv(left(md5(concat_ws(
    ' ', trigger_name, event_object_table, action_statement
)), 16), 16, 10) AS unsigned))
FROM information_schema.triggers
WHERE trigger_schema = DATABASE()
