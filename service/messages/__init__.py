"""The audit log: search messages, show one, send it again, cancel it."""
