"""The files of deployments, each content once, and the trees that name them."""

import json
from collections.abc import Collection, Mapping

from service.store.body_codec import compress, decompress, digest_of
from service.store.database import Database, Reader, Transaction, listed

#: Files in one transaction, so that the write lock is never held for long.
_FILES_AT_ONCE = 64


def save_tree(database: Database, contents: Mapping[str, bytes]) -> str:
    """Store the files of a deployment, each content once, and their names; returns the digest of the whole.

    In several short transactions: what is stored twice is stored once.
    """
    by_digest = {digest_of(data): data for data in contents.values()}
    names = {path: digest_of(data) for path, data in contents.items()}
    written = json.dumps(names, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    tree = digest_of(written)
    by_digest[tree] = written
    missing = sorted(by_digest.keys() - _kept(database, by_digest))
    for start in range(0, len(missing), _FILES_AT_ONCE):
        some = {digest: compress(by_digest[digest]) for digest in missing[start : start + _FILES_AT_ONCE]}
        database.write(lambda tx, some=some: _save_files(tx, some))  # type: ignore[misc]
    return tree


def _save_files(tx: Transaction, packed: Mapping[str, bytes]) -> None:
    for digest, data in packed.items():
        tx.execute(
            "INSERT INTO template_files (sha256, data) VALUES (:sha256, :data) ON CONFLICT (sha256) DO NOTHING",
            {"sha256": digest, "data": data},
        )


def tree(reader: Reader, digest: str) -> dict[str, str]:
    """The files of a deployment: path -> SHA-256. Raises ArchiveCorrupt, KeyError for one that is not stored."""
    return dict(json.loads(files(reader, [digest])[digest]))


def _kept(reader: Reader, digests: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in _portions(digests):
        names, params = listed("sha256", some)
        rows = reader.read(f"SELECT sha256 FROM template_files WHERE sha256 IN ({names})", params)
        found |= {row["sha256"] for row in rows}
    return found


def files(reader: Reader, digests: Collection[str]) -> dict[str, bytes]:
    """The contents of files by digest; those that are not stored are left out. Raises ArchiveCorrupt."""
    found: dict[str, bytes] = {}
    for some in _portions(digests):
        names, params = listed("sha256", some)
        rows = reader.read(f"SELECT sha256, data FROM template_files WHERE sha256 IN ({names})", params)
        found |= {row["sha256"]: decompress(row["data"], row["sha256"]) for row in rows}
    return found


def _portions(digests: Collection[str]) -> list[list[str]]:
    several = sorted(digests)
    return [several[start : start + 256] for start in range(0, len(several), 256)]
