"""The pages for people: server-rendered, usable before any script has run. See docs/pages.md."""
