-- Copies of a send (cc, bcc, and those of the template) are messages of their own, and show the headers of one mail.

ALTER TABLE email_messages ADD COLUMN role TEXT NOT NULL DEFAULT 'to'
    CHECK (role IN ('to', 'cc', 'bcc', 'copy'));          -- copy: by the template's front matter [kept]
ALTER TABLE email_messages ADD COLUMN visible_to TEXT;    -- addresses in To; NULL: the recipient's alone [emptied]
ALTER TABLE email_messages ADD COLUMN visible_cc TEXT;    -- addresses in Cc [emptied]
-- Whose address leaves a send also leaves the visible headers of its resends.
CREATE INDEX messages_resends ON email_messages (resend_of) WHERE resend_of IS NOT NULL;
