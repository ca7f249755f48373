"""The bytes of a mail: addresses, headers, MIME, attachments, parsing, and what an SMTP status means."""
