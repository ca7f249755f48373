"""Parsers of returned mail: DSN, ARF, automatic replies, and formats of single mail servers, into one form."""
