"""Who asks and what they may do: API keys, the admin token, sessions of the pages."""
