"""Authentication: API keys, the admin token, sessions of the pages."""
