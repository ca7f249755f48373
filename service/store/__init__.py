"""All SQL, on SQLite and PostgreSQL.

`database` alone knows which of the two it is; `migrations` creates the tables of `sql/`. Everything is synchronous:
callers in an event loop use threads. Functions take a Reader (a database or a transaction) or a Transaction.
"""
