-- Versions of EMAIL_SECRET_KEY, and the key of this database's pseudonyms, encrypted with each of them: so that another
-- secret is noticed at the start, and a new version changes no pseudonym.
CREATE TABLE secret_versions (
    fingerprint   TEXT PRIMARY KEY,            -- names the version, and tells nothing about it [kept]
    pseudonym_key BYTEA NOT NULL,              -- AES key wrap (RFC 5649) by a key derived from the version [kept]
    created_at    TIMESTAMPTZ NOT NULL         -- when this database first met the version [kept]
);
