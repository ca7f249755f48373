-- What was never tried and what is tried again are claimed in turns, so that neither waits behind a heap of the other.

CREATE INDEX messages_new ON email_messages (priority_rank, next_attempt_at, id)
    WHERE status = 'queued' AND attempts = 0;
CREATE INDEX messages_tried ON email_messages (priority_rank, next_attempt_at, id)
    WHERE status = 'queued' AND attempts > 0;
DROP INDEX messages_due;
