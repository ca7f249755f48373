"""Recorded mails: compare them with what is rendered now, and hold what each mail must say."""
