-- Each mail leads to its commit: sends are found by deployment, commit and revision, the header X-RGZ-Template names the
-- revision in the mail itself, and refused requests are counted by revision.

-- Mails that were accepted before this column go, and are shown, without the header.
ALTER TABLE email_messages ADD COLUMN is_template_named BOOLEAN NOT NULL DEFAULT FALSE; -- has X-RGZ-Template [kept]

CREATE INDEX sends_deployment ON sends (deployment_id, id) WHERE deployment_id IS NOT NULL;
-- Sends of a deployment are found by its commit; these have none.
CREATE INDEX sends_commit ON sends (git_commit, id) WHERE deployment_id IS NULL AND git_commit IS NOT NULL;

-- Revisions are archived when they are deployed; before this column, when they first sent.
ALTER TABLE email_template_revisions ADD COLUMN first_sent_at TIMESTAMPTZ; -- NULL: it has not sent yet [kept]
UPDATE email_template_revisions SET first_sent_at = created_at;
-- Each send asks whether its revision has sent, and must not read past the archive in its row for that.
CREATE INDEX revisions_sent ON email_template_revisions (revision, first_sent_at) WHERE first_sent_at IS NOT NULL;

-- How many send requests a revision refused (422), by day.
CREATE TABLE template_refusals (
    deployment_id TEXT NOT NULL,               -- the live one; '' where none was recorded [kept]
    revision      TEXT NOT NULL,               -- of the template [kept]
    template_key  TEXT NOT NULL,               -- [kept]
    day_at        TIMESTAMPTZ NOT NULL,        -- the beginning of the day, UTC [kept]
    refused       INTEGER NOT NULL,            -- requests [kept]
    PRIMARY KEY (deployment_id, revision, day_at)
);
CREATE INDEX refusals_day ON template_refusals (day_at);
