"""Jinja in a template: tokens, inheritance, checks, and the way back into compiled HTML, escaped by context."""
