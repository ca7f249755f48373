-- Sessions of the pages, and what admins did: both are about colleagues, and name recipients by pseudonym alone.

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,            -- UUIDv7, its name on the page of sessions [row deleted]
    secret_sha256 TEXT NOT NULL UNIQUE,        -- of the cookie's value, which is kept nowhere [row deleted]
    signed_with   TEXT NOT NULL,               -- digest of the signing key: with another one the session ends [row deleted]
    caller_id     TEXT NOT NULL,               -- the key that signed in, or admin [row deleted]
    caller_name   TEXT NOT NULL,               -- what it was called then [row deleted]
    client        TEXT NOT NULL,               -- keyed pseudonym of the browser's address [row deleted]
    browser       TEXT NOT NULL,               -- what the browser calls itself, shortened [row deleted]
    created_at    TIMESTAMPTZ NOT NULL,        -- when it signed in [row deleted]
    seen_at       TIMESTAMPTZ NOT NULL,        -- its last request, to the minute [row deleted]
    idle_until    TIMESTAMPTZ NOT NULL,        -- the end, unless it is used before [row deleted]
    ends_at       TIMESTAMPTZ NOT NULL         -- the absolute end [row deleted]
);
CREATE INDEX sessions_caller ON sessions (caller_id);
CREATE INDEX sessions_end ON sessions (ends_at);

-- Rows are only ever added; retention deletes old ones.
CREATE TABLE admin_actions (
    id             TEXT PRIMARY KEY,           -- UUIDv7 [kept]
    created_at     TIMESTAMPTZ NOT NULL,       -- when; of counted refusals the first [kept]
    kind           TEXT NOT NULL,              -- sign_in, key_created, person_erased ... [kept]
    actor_id       TEXT,                       -- a key, admin or the command line; NULL for a stranger [kept]
    actor_name     TEXT,                       -- what that was called then [kept]
    via            TEXT NOT NULL,              -- api, page or cli [kept]
    subject        TEXT,                       -- the key, session, suppression or template it was done to [kept]
    recipient_hash TEXT,                       -- keyed hash of the person's normalised address [pseudonym]
    client         TEXT,                       -- keyed pseudonym of the client's address [kept]
    detail         TEXT,                       -- a word or two of ours, such as a key's scopes [kept]
    count          INTEGER NOT NULL            -- how often, where it is counted [kept]
);
CREATE INDEX admin_actions_created ON admin_actions (created_at, id);
CREATE INDEX admin_actions_kind ON admin_actions (kind, created_at, id);
CREATE INDEX admin_actions_actor ON admin_actions (actor_id, created_at, id);
CREATE INDEX admin_actions_recipient ON admin_actions (recipient_hash, created_at, id) WHERE recipient_hash IS NOT NULL;
