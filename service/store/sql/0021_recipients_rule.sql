-- The rule of an environment about recipients (EMAIL_RECIPIENTS): what it holds back, and where it redirects to.

-- Why a message is suppressed: environment, or the reason of its recipient's suppression; NULL for messages before this.
ALTER TABLE email_messages ADD COLUMN suppressed_reason TEXT; -- a word of a fixed list [kept]
-- The address that it goes to instead of its recipient's; NULL: to the recipient; '': redirected, the address is forgotten.
ALTER TABLE email_messages ADD COLUMN redirected_to TEXT;     -- normalised [emptied]
CREATE INDEX messages_redirected ON email_messages (redirected_to) WHERE redirected_to IS NOT NULL;
