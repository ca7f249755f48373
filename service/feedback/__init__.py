"""Feedback: what providers and mail servers report about a message; verified, then parsed, recorded and applied."""
