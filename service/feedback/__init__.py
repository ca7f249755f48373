"""ROOM: what comes back. Verify, then parse; what it means for a message is decided by `record`."""
