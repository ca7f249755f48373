"""Template files: reading them, writing them atomically, watching them, and their history in git."""
