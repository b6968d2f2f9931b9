"""Reading: what the journal has, put into words, tables and JSON-able values."""
