-- What a call asked in the place of an earlier one whose receipt lies unused, as JSON.

ALTER TABLE payonce_calls ADD COLUMN drift TEXT;
