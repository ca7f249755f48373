"""Settings and what they configure: environment, logs, TLS, secrets, locks and the interpreter."""
