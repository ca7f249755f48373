"""URLs of Amazon SNS's signing certificates that have verified a notification."""

from datetime import datetime

from service.store.database import Reader, Transaction


def newest(reader: Reader, *, limit: int) -> list[str]:
    """The URLs that were noted last, the newest last."""
    rows = reader.read("SELECT url FROM sns_certificates ORDER BY verified_at DESC, url LIMIT :limit", {"limit": limit})
    return [row["url"] for row in reversed(rows)]


def note(tx: Transaction, url: str, *, now: datetime, keeps: int) -> None:
    """Note a URL, and forget all but the `keeps` newest."""
    tx.execute(
        "INSERT INTO sns_certificates (url, verified_at) VALUES (:url, :now)"
        " ON CONFLICT (url) DO UPDATE SET verified_at = excluded.verified_at",
        {"url": url, "now": now},
    )
    tx.execute(
        "DELETE FROM sns_certificates WHERE url NOT IN"
        " (SELECT url FROM sns_certificates ORDER BY verified_at DESC, url LIMIT :keeps)",
        {"keeps": keeps},
    )
