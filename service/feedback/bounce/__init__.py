"""Reports of returned mail (DSN, ARF, automatic replies, formats of single mail servers), parsed into one form."""
