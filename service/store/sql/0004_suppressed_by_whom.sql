-- Who suppressed an address by hand and in which words, and why it was lifted.

ALTER TABLE suppressions ADD COLUMN created_by TEXT;   -- a caller; NULL where feedback or the person did it [kept]
ALTER TABLE suppressions ADD COLUMN detail TEXT;       -- words of people; may name one [emptied]
ALTER TABLE suppressions ADD COLUMN lift_reason TEXT;  -- likewise [emptied]
