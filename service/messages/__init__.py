"""Stored messages: search them, show one, resend it, cancel it."""
