"""Reports of returned mail: DSN, ARF, automatic replies and the formats of single mail servers, parsed into one form."""
