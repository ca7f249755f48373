-- Purges: what a look for persons whose time is over asks, and each that there was.

CREATE INDEX suppressions_in_clear ON suppressions (created_at)
    WHERE address IS NOT NULL OR detail IS NOT NULL OR lift_reason IS NOT NULL;
CREATE INDEX suppressions_ended ON suppressions (lifted_at) WHERE lifted_at IS NOT NULL;

CREATE TABLE purges (
    id          TEXT PRIMARY KEY,              -- UUIDv7 [kept]
    began_at    TIMESTAMPTZ NOT NULL,          -- [kept]
    source      TEXT NOT NULL,                 -- retention, or erasure on request [kept]
    anonymised  INTEGER NOT NULL DEFAULT 0,    -- rows [kept]
    deleted     INTEGER NOT NULL DEFAULT 0,    -- rows [kept]
    scrubbed_at TIMESTAMPTZ                    -- when what is gone was made unreadable on the disk; NULL: still to do [kept]
);
CREATE INDEX purges_began ON purges (began_at);
