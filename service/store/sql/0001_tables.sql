-- The tables of the first day, for SQLite and PostgreSQL alike.
--
-- Each column says after its meaning what anonymising a message does to it:
--   [kept]         it names nobody
--   [emptied]      it becomes NULL, or an empty text or object where it can't be NULL
--   [pseudonym]    it becomes, or is from the start, a keyed pseudonym of the address
--   [row deleted]  the whole row goes with the person
-- Names end in _at or _until for times, begin with is_ or end in _allowed for booleans; JSON is TEXT.

-- One accepted request.
CREATE TABLE sends (
    id                TEXT PRIMARY KEY,        -- UUIDv7 [kept]
    caller_id         TEXT NOT NULL,           -- the key's identity: a service [kept]
    caller_name       TEXT NOT NULL,           -- what that key was called then [kept]
    idempotency_key   TEXT,                    -- the caller's own; free again after 24 hours [emptied]
    request_digest    TEXT,                    -- SHA-256 of the request, to tell the same from another [emptied]
    template_key      TEXT NOT NULL,           -- which template [kept]
    template_version  INTEGER NOT NULL,        -- its human name [kept]
    template_revision TEXT NOT NULL,           -- its identity [kept]
    is_test           BOOLEAN NOT NULL,        -- sent by POST .../test [kept]
    created_at        TIMESTAMPTZ NOT NULL     -- when it was accepted [kept]
);
CREATE UNIQUE INDEX sends_idempotency ON sends (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX sends_created ON sends (created_at);

-- One recipient's private copy of a send, and all that is known of its way.
CREATE TABLE email_messages (
    id                TEXT PRIMARY KEY,        -- UUIDv7 [kept]
    send_id           TEXT NOT NULL REFERENCES sends (id), -- the request it came with [kept]
    position          INTEGER NOT NULL,        -- its place in that request, from 0 [kept]
    caller_id         TEXT NOT NULL,           -- as in sends: reading one's own messages rests on it [kept]
    template_key      TEXT NOT NULL,           -- which template [kept]
    template_version  INTEGER NOT NULL,        -- its human name [kept]
    template_revision TEXT NOT NULL,           -- its identity [kept]
    stream            TEXT NOT NULL CHECK (stream IN ('transactional', 'marketing')), -- [kept]
    priority_rank     INTEGER NOT NULL CHECK (priority_rank BETWEEN 0 AND 3), -- 0 leaves first [kept]
    recipient_email   TEXT NOT NULL,           -- the address as it is sent to [pseudonym]
    recipient_hash    TEXT NOT NULL,           -- keyed hash of the normalised address [pseudonym]
    envelope_from     TEXT NOT NULL,           -- MAIL FROM; may hold a token that leads to the recipient [emptied]
    from_header       TEXT NOT NULL,           -- our own sender; a template may name a colleague there [emptied]
    reply_to          TEXT,                    -- may be a person [emptied]
    subject           TEXT NOT NULL,           -- holds names and amounts [emptied]
    locale            TEXT NOT NULL,           -- the language it was rendered in [kept]
    status            TEXT NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'bounced',
                          'complaint', 'failed', 'suppressed', 'rate_limited', 'cancelled')), -- [kept]
    status_at_accept  TEXT NOT NULL CHECK (status_at_accept IN ('queued', 'suppressed', 'rate_limited')), -- [kept]
    send_at           TIMESTAMPTZ NOT NULL,    -- when it was to leave: at once, or scheduled [kept]
    next_attempt_at   TIMESTAMPTZ,             -- when it is due; NULL once nothing is left to try [kept]
    expires_at        TIMESTAMPTZ NOT NULL,    -- no try begins after this [kept]
    attempts          INTEGER NOT NULL DEFAULT 0, -- tries that a server answered [kept]
    attempts_max      INTEGER NOT NULL,        -- how many it may have [kept]
    lapsed_leases     INTEGER NOT NULL DEFAULT 0, -- how often a worker let it go without a word [kept]
    lease_owner       TEXT,                    -- the worker that holds it [kept]
    lease_until       TIMESTAMPTZ,             -- until when, unless renewed [kept]
    data_started_at   TIMESTAMPTZ,             -- marketing: committed before the final dot of this try [kept]
    message_id        TEXT NOT NULL,           -- Message-ID without angle brackets, the same over all tries [kept]
    date_at           TIMESTAMPTZ NOT NULL,    -- Date, the same over all tries [kept]
    provider_id       TEXT,                    -- the next hop's own name for it, from its reply to DATA [emptied]
    smtp_reply        TEXT,                    -- that reply; may repeat the address [emptied]
    transfer_encoding TEXT CHECK (transfer_encoding IN ('8bit', 'quoted-printable')), -- as it was sent [kept]
    wire_sha256       TEXT,                    -- of the bytes on the wire: tells whether a guessed mail was it [emptied]
    sent_at           TIMESTAMPTZ,             -- the next hop took it [kept]
    delivered_at      TIMESTAMPTZ,             -- the provider says so [kept]
    bounce_type       TEXT CHECK (bounce_type IN ('permanent', 'temporary')), -- [kept]
    bounce_subtype    TEXT,                    -- a word of a fixed list, such as MailboxFull [kept]
    error_message     TEXT,                    -- why it isn't sent; may repeat the address [emptied]
    source_endpoint   TEXT NOT NULL,           -- which part of the caller asked: billing, incident ... [kept]
    variables         TEXT NOT NULL,           -- JSON object: what the caller said [emptied]
    metadata          TEXT NOT NULL,           -- JSON object: the caller's own notes [emptied]
    attachments_count INTEGER NOT NULL DEFAULT 0, -- [kept]
    sla_s             INTEGER,                 -- seconds from accept to the next hop's 250 that were promised [kept]
    is_test           BOOLEAN NOT NULL,        -- as in sends [kept]
    resend_of         TEXT,                    -- the message whose content this repeats [kept]
    created_at        TIMESTAMPTZ NOT NULL,    -- when it was accepted [kept]
    anonymised_at     TIMESTAMPTZ,             -- when all this was done to the row [kept]
    CHECK ((status = 'sending') = (lease_owner IS NOT NULL AND lease_until IS NOT NULL))
);
CREATE INDEX messages_due ON email_messages (priority_rank, next_attempt_at, id) WHERE status = 'queued';
CREATE INDEX messages_expiry ON email_messages (expires_at) WHERE status = 'queued';
CREATE INDEX messages_leases ON email_messages (lease_until) WHERE status = 'sending';
CREATE INDEX messages_created ON email_messages (created_at, id);
CREATE INDEX messages_recipient ON email_messages (recipient_hash, created_at, id);
CREATE INDEX messages_template ON email_messages (template_key, created_at, id);
CREATE INDEX messages_endpoint ON email_messages (source_endpoint, created_at, id);
CREATE INDEX messages_caller ON email_messages (caller_id, created_at, id);
CREATE INDEX messages_trouble ON email_messages (status, created_at, id)
    WHERE status IN ('bounced', 'complaint', 'failed', 'suppressed', 'rate_limited', 'cancelled');
CREATE INDEX messages_send ON email_messages (send_id, position);
CREATE INDEX messages_message_id ON email_messages (message_id);
CREATE INDEX messages_provider ON email_messages (provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX messages_in_clear ON email_messages (created_at) WHERE anonymised_at IS NULL;

-- The timeline: a row for each thing that happened once.
CREATE TABLE email_events (
    message_id  TEXT NOT NULL REFERENCES email_messages (id) ON DELETE CASCADE, -- [kept]
    seq         INTEGER NOT NULL,              -- the order in which we learnt of things, from 0 [kept]
    type        TEXT NOT NULL CHECK (type IN ('accepted', 'attempted', 'deferred', 'sent', 'delivered', 'bounced',
                    'complaint', 'delayed', 'suppressed', 'rate_limited', 'failed', 'cancelled', 'ambiguous',
                    'anonymised')),            -- [kept]
    happened_at TIMESTAMPTZ NOT NULL,          -- when it happened, as its source says [kept]
    source      TEXT NOT NULL,                 -- who says so: accept, a worker, ses ... [kept]
    detail      TEXT,                          -- a sentence for people; may name one [emptied]
    smtp_code   INTEGER,                       -- [kept]
    smtp_reply  TEXT,                          -- a server's words; may repeat the address [emptied]
    provider_id TEXT,                          -- the provider's name for the message or the event [emptied]
    PRIMARY KEY (message_id, seq)
);

-- Raw-content dictionaries for zstd, made of a template's example data.
CREATE TABLE archive_dictionaries (
    sha256     TEXT PRIMARY KEY,               -- of data [kept]
    data       BYTEA NOT NULL,                 -- an example rendering; names nobody [kept]
    created_at TIMESTAMPTZ NOT NULL            -- [kept]
);

-- Both parts of a message in one frame: HTML, then text.
CREATE TABLE email_bodies (
    message_id        TEXT PRIMARY KEY REFERENCES email_messages (id) ON DELETE CASCADE, -- [row deleted]
    codec             TEXT NOT NULL CHECK (codec IN ('zstd', 'zstd-dictionary')), -- [row deleted]
    dictionary_sha256 TEXT REFERENCES archive_dictionaries (sha256), -- what it was packed with [row deleted]
    html_bytes        INTEGER NOT NULL,        -- where HTML ends, in UTF-8 [row deleted]
    size_bytes        INTEGER NOT NULL,        -- of both parts, unpacked [row deleted]
    sha256            TEXT NOT NULL,           -- of both parts, unpacked [row deleted]
    content           BYTEA NOT NULL           -- the frame [row deleted]
);

-- What attachments hold, once for any number of messages. Orphans are swept an hour after they were last wanted.
CREATE TABLE attachment_blobs (
    sha256     TEXT PRIMARY KEY,               -- of data [row deleted]
    size_bytes BIGINT NOT NULL,                -- [row deleted]
    wanted_at  TIMESTAMPTZ NOT NULL,           -- when somebody last brought these bytes [row deleted]
    data       BYTEA NOT NULL                  -- [row deleted]
);
CREATE INDEX blobs_wanted ON attachment_blobs (wanted_at);

CREATE TABLE email_attachments (
    id           TEXT PRIMARY KEY,             -- message_id/n [row deleted]
    message_id   TEXT NOT NULL REFERENCES email_messages (id) ON DELETE CASCADE, -- [row deleted]
    n            INTEGER NOT NULL,             -- its place in the message, from 0 [row deleted]
    filename     TEXT NOT NULL,                -- [row deleted]
    content_type TEXT NOT NULL,                -- [row deleted]
    size_bytes   BIGINT NOT NULL,              -- decoded [row deleted]
    sha256       TEXT NOT NULL REFERENCES attachment_blobs (sha256), -- [row deleted]
    created_at   TIMESTAMPTZ NOT NULL,         -- [row deleted]
    UNIQUE (message_id, n)
);
CREATE INDEX attachments_blob ON email_attachments (sha256);

-- Every revision that ever sent: enough to render it again without compiling.
CREATE TABLE email_template_revisions (
    revision          TEXT PRIMARY KEY,        -- 64 hex digits [kept]
    key               TEXT NOT NULL,           -- [kept]
    version           INTEGER NOT NULL,        -- [kept]
    git_commit        TEXT,                    -- of the checkout it came from [kept]
    is_dirty          BOOLEAN NOT NULL,        -- that checkout had changes of its own [kept]
    archive_sha256    TEXT NOT NULL,           -- of the archive, unpacked [kept]
    archive           BYTEA NOT NULL,          -- zstd; source and compiled Jinja, names nobody [kept]
    dictionary_sha256 TEXT REFERENCES archive_dictionaries (sha256), -- what its bodies are packed with [kept]
    created_at        TIMESTAMPTZ NOT NULL     -- when it was first used [kept]
);
CREATE INDEX revisions_of ON email_template_revisions (key, version, created_at);

-- The current row of each key.
CREATE TABLE email_templates (
    id                  TEXT PRIMARY KEY,      -- the key: a template is what its folder is named [kept]
    key                 TEXT NOT NULL UNIQUE,  -- [kept]
    revision            TEXT NOT NULL REFERENCES email_template_revisions (revision), -- [kept]
    subject             TEXT NOT NULL,         -- Jinja source [kept]
    html_content        TEXT NOT NULL,         -- Jinja source [kept]
    text_content        TEXT NOT NULL,         -- Jinja source [kept]
    required_variables  TEXT NOT NULL,         -- JSON array of names [kept]
    attachments_allowed BOOLEAN NOT NULL,      -- [kept]
    category            TEXT NOT NULL,         -- [kept]
    version             INTEGER NOT NULL,      -- [kept]
    is_active           BOOLEAN NOT NULL,      -- [kept]
    created_by          TEXT,                  -- a colleague, from git or the admin: not a recipient [kept]
    created_at          TIMESTAMPTZ NOT NULL,  -- [kept]
    updated_by          TEXT,                  -- likewise [kept]
    updated_at          TIMESTAMPTZ NOT NULL   -- [kept]
);

-- Who must not be written to. Lifting one is a change of its row, never its end.
CREATE TABLE suppressions (
    id             TEXT PRIMARY KEY,           -- UUIDv7 [kept]
    address        TEXT,                       -- in clear while it may be [emptied]
    recipient_hash TEXT NOT NULL,              -- keyed hash of the normalised address [pseudonym]
    scope          TEXT NOT NULL CHECK (scope IN ('all', 'marketing')), -- [kept]
    reason         TEXT NOT NULL,              -- bounce, complaint, unsubscribe, manual ... [kept]
    source         TEXT NOT NULL,              -- who says so [kept]
    event_id       TEXT,                       -- the message or notification that caused it [kept]
    created_at     TIMESTAMPTZ NOT NULL,       -- since when [kept]
    lifted_at      TIMESTAMPTZ,                -- until when [kept]
    lifted_by      TEXT                        -- a caller [kept]
);
CREATE UNIQUE INDEX suppressions_active ON suppressions (recipient_hash, scope) WHERE lifted_at IS NULL;
CREATE INDEX suppressions_created ON suppressions (created_at, id);

-- Slots of a limit: who may get how many mails in a period.
CREATE TABLE marketing_claims (
    recipient_hash TEXT NOT NULL,              -- keyed hash of the normalised address [pseudonym]
    stream         TEXT NOT NULL CHECK (stream IN ('transactional', 'marketing')), -- [kept]
    period         TEXT NOT NULL,              -- ISO 8601 start of the period [kept]
    slot           INTEGER NOT NULL,           -- from 0 [kept]
    message_id     TEXT NOT NULL,              -- who took it [kept]
    PRIMARY KEY (recipient_hash, stream, period, slot)
);
CREATE INDEX claims_message ON marketing_claims (message_id);
CREATE INDEX claims_period ON marketing_claims (period);

CREATE TABLE api_keys (
    id            TEXT PRIMARY KEY,            -- the middle of the key's text [kept]
    name          TEXT NOT NULL,               -- a service [kept]
    scopes        TEXT NOT NULL,               -- separated by spaces [kept]
    secret_sha256 TEXT NOT NULL,               -- the secret itself is shown once and kept nowhere [kept]
    created_at    TIMESTAMPTZ NOT NULL,        -- [kept]
    revoked_at    TIMESTAMPTZ                  -- [kept]
);

-- Each notification once.
CREATE TABLE feedback_seen (
    id      TEXT PRIMARY KEY,                  -- the provider's name for the notification [kept]
    source  TEXT NOT NULL,                     -- sns, inbox ... [kept]
    seen_at TIMESTAMPTZ NOT NULL               -- [kept]
);
CREATE INDEX feedback_seen_when ON feedback_seen (seen_at);
