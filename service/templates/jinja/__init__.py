"""Jinja in a template's source: tokens, inheritance, checks, and its way back into compiled HTML, escaped by context."""
