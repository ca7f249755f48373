"""Authoring of templates: check, scaffold, draft, publish, and history."""
