"""What authors do with templates: check, begin, draft, publish, and look at earlier commits."""
