-- What a provider said about a message before we knew the provider's name for it: kept until our own commit, a day at most.
CREATE TABLE feedback_early (
    id          TEXT PRIMARY KEY,              -- UUIDv7 [row deleted]
    provider_id TEXT NOT NULL,                 -- the name that a message will have [row deleted]
    report      TEXT NOT NULL,                 -- JSON; names the recipient [row deleted]
    received_at TIMESTAMPTZ NOT NULL           -- [row deleted]
);
CREATE INDEX feedback_early_provider ON feedback_early (provider_id);
CREATE INDEX feedback_early_received ON feedback_early (received_at);
