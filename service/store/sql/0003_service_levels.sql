-- When a message should have been handed to the next hop, so that what is late is found by an index.

ALTER TABLE email_messages ADD COLUMN sla_due_at TIMESTAMPTZ;  -- send_at plus sla_s [kept]
CREATE INDEX messages_promised ON email_messages (sla_due_at) WHERE sla_due_at IS NOT NULL;
