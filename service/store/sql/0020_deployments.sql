-- Deployments: commits of the template repository that were compiled, checked and kept; which one is served; and what
-- keeps newer ones from it. No column names a recipient; persons are authors of commits and admins.

-- One commit with what became of it. Exactly one row is live once there is any.
CREATE TABLE deployments (
    id              TEXT PRIMARY KEY,          -- UUIDv7 [kept]
    source          TEXT NOT NULL,             -- URL without credentials, or "files" for a directory [kept]
    ref             TEXT,                      -- branch, tag or pattern it was resolved from [kept]
    path            TEXT NOT NULL,             -- the template directory in the repository; "" is its root [kept]
    git_commit      TEXT,                      -- full name; NULL where the files are in no commit [kept]
    parent_commit   TEXT,                      -- its first parent [kept]
    author          TEXT,                      -- of the commit [kept]
    committed_at    TIMESTAMPTZ,               -- by the commit [kept]
    first_line      TEXT,                      -- of the commit's message [kept]
    trigger         TEXT NOT NULL CHECK (trigger IN ('poll', 'webhook', 'command', 'page', 'publish', 'rollback',
                        'files', 'compiler')), -- [kept]
    requested_by    TEXT,                      -- the name of the key, person or command line [kept]
    why             TEXT,                      -- their reason [kept]
    state           TEXT NOT NULL CHECK (state IN ('live', 'ended', 'held', 'waiting')), -- [kept]
    reason          TEXT,                      -- why it is held or waits: one sentence a line [kept]
    templates_count INTEGER NOT NULL,          -- that it serves, or would [kept]
    changed_count   INTEGER NOT NULL,          -- whose revision differs from the one before [kept]
    broken_count    INTEGER NOT NULL,          -- with errors [kept]
    compiler        INTEGER NOT NULL,          -- the version of the compiler [kept]
    site_values     TEXT NOT NULL,             -- JSON object: the installation's values in the repository [kept]
    tree            TEXT NOT NULL,             -- SHA-256 in template_files of a JSON object: path -> SHA-256 [kept]
    created_at      TIMESTAMPTZ NOT NULL,      -- when it was prepared [kept]
    live_at         TIMESTAMPTZ,               -- when it was first served [kept]
    ended_at        TIMESTAMPTZ                -- when another one replaced it [kept]
);
CREATE UNIQUE INDEX deployments_live ON deployments (state) WHERE state = 'live';
CREATE INDEX deployments_created ON deployments (created_at, id);
CREATE INDEX deployments_commit ON deployments (git_commit) WHERE git_commit IS NOT NULL;

-- The templates of a deployment.
CREATE TABLE deployment_items (
    deployment_id   TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE, -- [kept]
    key             TEXT NOT NULL,             -- [kept]
    revision        TEXT,                      -- that it serves, or would; NULL: none [kept]
    wanted_revision TEXT,                      -- of the commit, where a hold keeps another one [kept]
    change          TEXT NOT NULL CHECK (change IN ('new', 'changed', 'by_shared_part', 'same', 'gone', 'kept')), -- [kept]
    findings        TEXT NOT NULL,             -- JSON array of findings [kept]
    PRIMARY KEY (deployment_id, key)
);
CREATE INDEX deployment_items_key ON deployment_items (key, deployment_id);

-- The files of deployments and the lists of their names, each content once.
CREATE TABLE template_files (
    sha256 TEXT PRIMARY KEY,                   -- of the content [kept]
    data   BYTEA NOT NULL                      -- zstd of the content [kept]
);

-- Revisions that must not be served.
CREATE TABLE template_holds (
    key        TEXT NOT NULL,                  -- [kept]
    revision   TEXT NOT NULL,                  -- [kept]
    held_by    TEXT NOT NULL,                  -- the name of the key, person or command line [kept]
    why        TEXT NOT NULL,                  -- their reason [kept]
    since_at   TIMESTAMPTZ NOT NULL,           -- [kept]
    held_until TIMESTAMPTZ,                    -- when it ends by itself [kept]
    PRIMARY KEY (key, revision)
);

-- The one row of the source, made when it is first looked at: what was last seen there, who looks, and whether newer
-- commits wait.
CREATE TABLE template_source (
    id                INTEGER PRIMARY KEY CHECK (id = 1), -- [kept]
    lease_owner       TEXT,                    -- the process that fetches and prepares [kept]
    lease_until       TIMESTAMPTZ,             -- [kept]
    source            TEXT,                    -- URL without credentials, ref and path that all this is about [kept]
    seen_commit       TEXT,                    -- of the ref at the last fetch [kept]
    fetched_at        TIMESTAMPTZ,             -- the last fetch that worked [kept]
    failed_at         TIMESTAMPTZ,             -- the first of the fetches that failed since; NULL: none did [kept]
    failure           TEXT,                    -- why the last one failed, without credentials [kept]
    is_orphaned       BOOLEAN NOT NULL,        -- the live commit is no longer in the ref's history [kept]
    judged            TEXT,                    -- digest of commit, settings and compiler that was last prepared [kept]
    wanted_look       INTEGER NOT NULL,        -- counts requests to look now [kept]
    done_look         INTEGER NOT NULL,        -- the last of them that was answered [kept]
    look_trigger      TEXT,                    -- what asked last [kept]
    look_by           TEXT,                    -- who asked last [kept]
    suspended_by      TEXT,                    -- NULL: sync is not suspended [kept]
    suspended_why     TEXT,                    -- [kept]
    suspended_at      TIMESTAMPTZ,             -- [kept]
    suspended_until   TIMESTAMPTZ              -- when it ends by itself [kept]
);

-- Processes of the service, and what each serves. Rows of dead ones are deleted after a day.
CREATE TABLE service_processes (
    id            TEXT PRIMARY KEY,            -- host, process id and a random part [kept]
    role          TEXT NOT NULL,               -- api, worker, serve or sync [kept]
    deployment_id TEXT,                        -- that it serves [kept]
    seen_at       TIMESTAMPTZ NOT NULL         -- [kept]
);

-- Which deployment and commit a send was rendered with. NULL for sends before this table.
ALTER TABLE sends ADD COLUMN deployment_id TEXT;       -- [kept]
ALTER TABLE sends ADD COLUMN git_commit TEXT;          -- [kept]
