-- An Idempotency-Key holds for a day, and may be an address: afterwards it is emptied, whatever becomes of its messages.

CREATE INDEX sends_keyed ON sends (created_at) WHERE idempotency_key IS NOT NULL;
