-- The link that ends marketing mail to this recipient, as it stands in the message's header: kept, so that the bytes of
-- a mail stay the same when EMAIL_PUBLIC_URL changes.

ALTER TABLE email_messages ADD COLUMN unsubscribe_url TEXT;  -- marketing only; leads to the recipient [emptied]
