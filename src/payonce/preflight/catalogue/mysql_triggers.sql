-- A table's triggers.
SELECT trigger_name, event_manipulation, action_timing, action_statement
FROM information_schema.triggers
WHERE trigger_schema = coalesce(:schema, DATABASE()) AND event_object_table = :table
ORDER BY trigger_name
