"""The HTTP API under /api/v1/email, health, metrics and the development mailbox."""
