-- Lists of what was sent, and of what was delivered: where providers confirm, the one is rare among the other.

CREATE INDEX messages_sent ON email_messages (created_at, id) WHERE status = 'sent';
CREATE INDEX messages_delivered ON email_messages (created_at, id) WHERE status = 'delivered';
