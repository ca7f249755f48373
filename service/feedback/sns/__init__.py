"""Amazon SES over SNS: verify an envelope, fetch its certificate, confirm a subscription, read an event."""
