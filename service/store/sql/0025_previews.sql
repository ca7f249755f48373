-- Previews: open pull requests of the template repository, compiled as pr-N beside what is served. Their rows are
-- deleted with them. No column names a recipient; persons are authors of commits.

-- Refs that were seen at the last look, also those that are shown no longer, so that none comes back by itself.
CREATE TABLE preview_refs (
    ref           TEXT PRIMARY KEY,            -- full name, such as refs/pull/12/head [kept]
    git_commit    TEXT NOT NULL,               -- that it led to at the last look [kept]
    first_seen_at TIMESTAMPTZ NOT NULL,        -- when it was first seen to lead there [kept]
    is_older      BOOLEAN NOT NULL,            -- it was there at the first look, perhaps for long [kept]
    over          TEXT                         -- why it has no preview, such as merged; NULL: it has one [kept]
);

CREATE TABLE previews (
    name           TEXT PRIMARY KEY,           -- pr-N [kept]
    ref            TEXT NOT NULL,              -- [kept]
    git_commit     TEXT NOT NULL,              -- full name [kept]
    author         TEXT,                       -- of the commit [kept]
    committed_at   TIMESTAMPTZ,                -- by the commit [kept]
    first_line     TEXT,                       -- of the commit's message [kept]
    seen_at        TIMESTAMPTZ NOT NULL,       -- when this commit was first seen [kept]
    prepared_at    TIMESTAMPTZ NOT NULL,       -- [kept]
    judged         TEXT NOT NULL,              -- digest of commit, live deployment, settings and compiler [kept]
    deployment_id  TEXT,                       -- that it is compared with; NULL: nothing was live [kept]
    reason         TEXT,                       -- why all or a part of it is missing, one sentence a line [kept]
    findings       TEXT NOT NULL,              -- JSON array: of files that were left out [kept]
    site_values    TEXT NOT NULL,              -- JSON object: the installation's values in its repository [kept]
    site_examples  TEXT NOT NULL,              -- JSON object: the examples that it declares for them [kept]
    changed_count  INTEGER NOT NULL,           -- templates that it changes [kept]
    findings_count INTEGER NOT NULL,           -- of files and templates, as far as kept [kept]
    links          TEXT NOT NULL               -- random; links are signed for it, and end with it [kept]
);

-- The templates that a pull request changes.
CREATE TABLE preview_items (
    preview         TEXT NOT NULL REFERENCES previews (name) ON DELETE CASCADE, -- [kept]
    key             TEXT NOT NULL,             -- [kept]
    change          TEXT NOT NULL CHECK (change IN ('new', 'changed', 'by_shared_part', 'gone')), -- [kept]
    why             TEXT NOT NULL,             -- JSON array: changed files and values that it uses [kept]
    revision        TEXT,                      -- NULL: gone, or it does not compile [kept]
    version         INTEGER,                   -- [kept]
    revision_before TEXT,                      -- that was live; NULL: none [kept]
    version_before  INTEGER,                   -- [kept]
    contract        TEXT NOT NULL,             -- JSON array: what changes for callers [kept]
    findings        TEXT NOT NULL,             -- JSON array of findings, with is_new [kept]
    sha256          TEXT,                      -- of the archive [kept]
    archive         BYTEA,                     -- zstd of the compiled template [kept]
    PRIMARY KEY (preview, key)
);

-- A mail that a preview rendered says so.
ALTER TABLE email_messages ADD COLUMN template_ref TEXT; -- the preview, such as pr-12; NULL: none [kept]
CREATE INDEX messages_of_previews ON email_messages (template_revision) WHERE template_ref IS NOT NULL;
-- Archived because a preview sent with it, and never deployed: no version or revision in a request leads to it.
ALTER TABLE email_template_revisions ADD COLUMN is_preview BOOLEAN NOT NULL DEFAULT FALSE; -- [kept]
CREATE INDEX revisions_of_previews ON email_template_revisions (revision, created_at) WHERE is_preview;
