-- How far each mailbox of returned mail has been read; its mails stay where they are.
CREATE TABLE inbox_positions (
    inbox        TEXT PRIMARY KEY,             -- our own user, host, port and folder [kept]
    uid_validity BIGINT NOT NULL,              -- RFC 3501: which numbering of its mails [kept]
    last_uid     BIGINT NOT NULL,              -- the last mail that is done [kept]
    moved_at     TIMESTAMPTZ NOT NULL          -- [kept]
);
