-- Which requests that are being accepted have brought a content: without a message and without a hold it is an orphan,
-- and is deleted at once. (It was deleted an hour after it was last wanted.)
CREATE TABLE attachment_holds (
    sha256  TEXT NOT NULL,                     -- of the content [row deleted]
    send_id TEXT NOT NULL,                     -- what its request will be stored as [row deleted]
    held_at TIMESTAMPTZ NOT NULL,              -- counts for an hour: its process may have died [row deleted]
    PRIMARY KEY (send_id, sha256)
);
CREATE INDEX holds_of ON attachment_holds (sha256);
CREATE INDEX holds_held ON attachment_holds (held_at);
DROP INDEX blobs_wanted;
