"""Rendering of a mail: sandbox, filters, escapes and the compiled program."""
