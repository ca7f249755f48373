"""ROOM: what we know.

`database` is the one place where SQLite and PostgreSQL meet; `migrations` makes the tables; `messages` takes in sends
and their messages; `claims` hands due messages to workers; `timeline` moves states and writes events; `history` reads
what became of them; `archive` (with `codec`) keeps bodies, attachments and template revisions; `limits` suppressions
and claimed slots; `keys` API keys; `seen` notifications that were taken in. Everything is synchronous: doors call it
off the event loop.
"""
