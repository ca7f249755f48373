-- Where certificates of Amazon SNS lie that have verified a notification: they are fetched first, whatever others ask for.
CREATE TABLE sns_certificates (
    url         TEXT PRIMARY KEY,              -- of the file, at a host of SNS [kept]
    verified_at TIMESTAMPTZ NOT NULL           -- when a process first verified a notification with it [kept]
);
