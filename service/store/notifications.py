"""Tell other processes that rows changed, so that they need not wait for their next look. PostgreSQL alone can."""

from service.store.database import Transaction

#: The live deployment, the source's row, or what is asked of it has changed.
DEPLOYMENTS = "rgz_email_deployments"


def send(tx: Transaction, channel: str) -> None:
    """Notify those who listen on the channel once the transaction is committed; on SQLite they look by themselves."""
    if tx.dialect == "postgresql":
        tx.execute("SELECT pg_notify(:channel, '')", {"channel": channel})
