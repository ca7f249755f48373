"""DOOR: the HTTP API. One controller a file; they translate between HTTP and the verbs, and decide nothing."""
