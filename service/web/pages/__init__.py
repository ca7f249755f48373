"""The web pages under /admin and /docs, rendered on the server and usable without scripts. See docs/pages.md."""
