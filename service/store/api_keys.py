"""API keys. The text of a key, `rgz_<id>_<secret>`, is shown once; only the SHA-256 of its secret is stored.

A plain digest is enough: the secret has 256 random bits, so there is nothing to guess that stretching would slow down.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from service.models import Scope
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row

_COLUMNS = "id, name, scopes, created_at, revoked_at"
_PREFIX = "rgz"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `id` identifies the caller: for idempotency keys and for reading its own messages."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None


def create(tx: Transaction, name: str, scopes: Iterable[Scope], now: datetime) -> tuple[ApiKey, str]:
    """Create a key; returns it and its full text, which can't be read again."""
    key = ApiKey(secrets.token_hex(8), name, frozenset(scopes), now)
    secret = secrets.token_urlsafe(32)
    tx.execute(
        "INSERT INTO api_keys (id, name, scopes, secret_sha256, created_at)"
        " VALUES (:id, :name, :scopes, :secret_sha256, :created_at)",
        {
            "id": key.id,
            "name": name,
            "scopes": " ".join(scope.value for scope in Scope if scope in key.scopes),
            "secret_sha256": _digest(secret),
            "created_at": now,
        },
    )
    return key, f"{_PREFIX}_{key.id}_{secret}"


def list_keys(reader: Reader) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return [_key(row) for row in reader.read(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, id")]


def revoke(tx: Transaction, key_id: str, now: datetime) -> bool:
    """Revoke a key; False where there is no active key with this id."""
    return bool(
        tx.execute(
            "UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id",
            {"id": key_id, "now": now},
        )
    )


def find(reader: Reader, key_text: str) -> ApiKey | None:
    """The active key with this text, or None; in constant time for a wrong secret and an unknown id."""
    prefix, _, rest = key_text.partition("_")
    key_id, _, secret = rest.partition("_")
    rows = reader.read(f"SELECT {_COLUMNS}, secret_sha256 FROM api_keys WHERE id = :id", {"id": key_id})
    expected = rows[0].pop("secret_sha256") if rows else _digest("")
    matches = hmac.compare_digest(_digest(secret), expected)
    if not (matches and rows and secret and prefix == _PREFIX and rows[0]["revoked_at"] is None):
        return None
    return _key(rows[0])


def id_in(key_text: str) -> str | None:
    """The id in the text of a key; None where the text has no such form."""
    found = re.fullmatch(rf"{_PREFIX}_([0-9a-f]{{16}})_.*", key_text, re.DOTALL)
    return found[1] if found else None


def known(reader: Reader, key_ids: Collection[str]) -> set[str]:
    """Those of these ids that are keys', revoked ones too."""
    names, params = listed("id", sorted(key_ids))
    return {row["id"] for row in reader.read(f"SELECT id FROM api_keys WHERE id IN ({names})", params)}


def get(reader: Reader, key_id: str) -> ApiKey | None:
    """The active key with this id, or None."""
    sql = f"SELECT {_COLUMNS} FROM api_keys WHERE id = :id AND revoked_at IS NULL"
    rows = reader.read(sql, {"id": key_id})
    return _key(rows[0]) if rows else None


def _key(row: Row) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(Scope(scope) for scope in row["scopes"].split())})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
