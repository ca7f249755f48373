-- A template may be published, and its author be known, before any mail was sent with it: the current row of a key no
-- longer asks for a kept revision. Both databases can do it only by building the table anew.

CREATE TABLE email_templates_anew (
    id                  TEXT PRIMARY KEY,      -- the key: a template is what its folder is named [kept]
    key                 TEXT NOT NULL UNIQUE,  -- [kept]
    revision            TEXT NOT NULL,         -- in email_template_revisions once a mail was sent with it [kept]
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
INSERT INTO email_templates_anew (id, key, revision, subject, html_content, text_content, required_variables,
    attachments_allowed, category, version, is_active, created_by, created_at, updated_by, updated_at)
    SELECT id, key, revision, subject, html_content, text_content, required_variables,
        attachments_allowed, category, version, is_active, created_by, created_at, updated_by, updated_at
    FROM email_templates;
DROP TABLE email_templates;
ALTER TABLE email_templates_anew RENAME TO email_templates;
