"""Jinja in a template: tokens, inheritance, checks, and its return into the compiled HTML with escapes by context."""
