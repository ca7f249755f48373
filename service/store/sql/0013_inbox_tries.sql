-- Which mail of a bounce mailbox is being read, noted before it is: a mail that ends the process is not read for ever.

ALTER TABLE inbox_positions ADD COLUMN tried_uid BIGINT;  -- the last mail that was begun [kept]
ALTER TABLE inbox_positions ADD COLUMN tries INTEGER;     -- how often it was [kept]
