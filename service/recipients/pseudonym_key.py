"""The key of a database's pseudonyms: made once, kept in the database, encrypted with each version of the secret key.

It never changes, since a pseudonym whose address is gone can't be made anew: every process, lookup and UNIQUE index
goes on with one pseudonym for each person, whichever versions of the secret key a process knows.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.config.secret_key import SecretKey
from service.errors import ConfigurationError
from service.mail import addresses
from service.models import OPERATOR, ActionKind
from service.store import admin_actions, rehashing, secret_versions
from service.store.database import Database, Reader, Transaction
from service.store.rehashing import HashedRow

_KEY_BYTES = 32
#: Messages of one transaction.
STEP_MESSAGES = 500

_log = structlog.get_logger("secret_key")


@dataclass(frozen=True, slots=True)
class NewPseudonyms:
    """Result of accepting a new secret: rows whose address was known, and suppressions in force that match nobody."""

    messages: int
    suppressions: int
    suppressions_lost: int


def agree(database: Database, secret_key: SecretKey, *, now: datetime) -> bytes:
    """Return the database's pseudonym key, and let it be encrypted with exactly the versions of `secret_key`.

    A database of v0.1 goes on with the secret key itself, a new one gets a random key; processes that start at once
    agree. Raises ConfigurationError where no version of `secret_key` fits the database, StoreBusy.
    """
    known = secret_versions.wrapped_keys(database)
    if known.keys() == {version.fingerprint for version in secret_key.versions}:
        return _unwrap(known, secret_key)
    return database.write(lambda tx: _agree(tx, secret_key, now))


def accept_new_secret(database: Database, secret_key: SecretKey, clock: Callable[[], datetime]) -> NewPseudonyms:
    """Go on with a secret key that does not fit the database, whose old one is lost; may be repeated.

    Pseudonyms are made anew where the address is known. Other rows match nobody any more. Raises StoreBusy: then repeat
    it.
    """
    now = clock()
    key, suppressions, lost = database.write(lambda tx: _begin_anew(tx, secret_key, now))
    messages, after = 0, ""
    while rows := rehashing.messages(database, after=after, limit=STEP_MESSAGES):
        changed = _changed(rows, key)
        database.write(lambda tx, changed=changed: rehashing.rehash_messages(tx, changed))  # type: ignore[misc]
        messages, after = messages + len(changed), rows[-1].id
    _log.warning("new_secret_accepted", messages=messages, suppressions=suppressions, suppressions_lost=lost)
    return NewPseudonyms(messages, suppressions, lost)


def _agree(tx: Transaction, secret_key: SecretKey, now: datetime) -> bytes:
    secret_versions.lock(tx)
    known = secret_versions.wrapped_keys(tx)
    key = _unwrap(known, secret_key) if known else _first_key(tx, secret_key)
    if known:
        _note(tx, _changes(known, secret_key), now)
    secret_versions.replace(tx, _wrapped(key, secret_key), now=now)
    return key


def _begin_anew(tx: Transaction, secret_key: SecretKey, now: datetime) -> tuple[bytes, int, int]:
    secret_versions.lock(tx)
    known = secret_versions.wrapped_keys(tx)
    if known.keys() & {version.fingerprint for version in secret_key.versions}:
        key = _unwrap(known, secret_key)  # a repetition
    else:
        key = secrets.token_bytes(_KEY_BYTES)
    secret_versions.replace(tx, _wrapped(key, secret_key), now=now)
    changed = _changed(rehashing.suppressions(tx), key)
    rehashing.rehash_suppressions(tx, changed, now=now)
    lost = rehashing.count_nameless(tx)
    _note(tx, f"{_changes(known, secret_key)} accepted suppressions_lost={lost}".strip(), now)
    return key, len(changed), lost


def _changes(known: Mapping[str, bytes], secret_key: SecretKey) -> str:
    """Which versions come and go, by the beginning of their fingerprints."""
    given = {version.fingerprint for version in secret_key.versions}
    words = {"added": sorted(given - known.keys()), "dropped": sorted(known.keys() - given)}
    return " ".join(f"{word}={','.join(one[:8] for one in names)}" for word, names in words.items() if names)


def _note(tx: Transaction, detail: str, now: datetime) -> None:
    admin_actions.note(tx, ActionKind.SECRET_KEY_CHANGED, OPERATOR, now, detail=detail)


def _wrapped(key: bytes, secret_key: SecretKey) -> Mapping[str, bytes]:
    return {version.fingerprint: version.wrap(key) for version in secret_key.versions}


def _unwrap(known: Mapping[str, bytes], secret_key: SecretKey) -> bytes:
    for version in secret_key.versions:
        if (wrapped := known.get(version.fingerprint)) is not None:
            return version.unwrap(wrapped)
    raise _unfit(f"known by its fingerprint {' or '.join(fingerprint[:8] for fingerprint in known)}")


def _first_key(reader: Reader, secret_key: SecretKey) -> bytes:
    """The key of a database that has none yet; of v0.1, whose pseudonyms were made with the secret itself."""
    if not secret_versions.has_pseudonyms(reader):
        return secrets.token_bytes(_KEY_BYTES)
    rows = secret_versions.samples(reader)
    if not rows:
        return secret_key.newest.undivided
    for row in rows:
        for version in secret_key.versions:
            if _pseudonym(row.address, version.undivided) == row.recipient_hash:
                return version.undivided
    raise _unfit("which made the pseudonyms of the addresses in it")


def _changed(rows: list[HashedRow], key: bytes) -> dict[str, str]:
    """The pseudonym by the id of each row that has another one."""
    made = {row.id: (row.recipient_hash, _pseudonym(row.address, key)) for row in rows}
    return {row_id: new for row_id, (old, new) in made.items() if new is not None and new != old}


def _pseudonym(address: str, key: bytes) -> str | None:
    try:
        return addresses.pseudonym(addresses.parse(address).normalised, key=key)
    except addresses.AddressInvalid:
        return None


def _unfit(which: str) -> ConfigurationError:
    return ConfigurationError(
        [
            f"EMAIL_SECRET_KEY: this database belongs to another secret key, {which}; with this one its suppressions"
            " would match nobody. Restore that key, or name it in EMAIL_SECRET_KEY_PREVIOUS beside the new one. A"
            " generated one is the file secret-key in EMAIL_DATA_DIR. If it is lost, see"
            " `rgz-email keys accept-new-secret --help`"
        ]
    )
