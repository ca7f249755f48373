"""Reading bodies as they were accepted, a few or thousands a second."""

from collections.abc import Iterable, Mapping, Sequence

from service.errors import ArchiveCorrupt
from service.models import Body
from service.store.body_codec import PackedBody, Unpacker
from service.store.database import Reader, listed
from service.store.database.contract import Row

BODY_COLUMNS = "message_id, codec, dictionary_sha256, html_bytes, size_bytes, sha256, content"


class Unpackers:
    """What reads the bodies of the last dictionaries, each made ready once. For one thread at a time."""

    def __init__(self, at_most: int = 100) -> None:
        self._at_most = at_most
        self._made: dict[str | None, Unpacker] = {}

    def of(self, reader: Reader, digests: set[str | None]) -> Mapping[str | None, Unpacker]:
        """One for each; None is for bodies without a dictionary."""
        missing = digests - self._made.keys()
        if missing:
            dictionaries = _dictionaries(reader, [digest for digest in missing if digest is not None])
            if len(self._made) + len(missing) > self._at_most:
                self._made = {digest: one for digest, one in self._made.items() if digest in digests}
            self._made |= {digest: Unpacker(dictionaries.get(digest) if digest else None) for digest in missing}
        return self._made


def unpack_rows(
    reader: Reader, rows: Sequence[Row], unpackers: Unpackers | None = None
) -> dict[str, Body | ArchiveCorrupt]:
    """Bodies of rows with BODY_COLUMNS by message id; the error in the place of one that can't be read."""
    made = (unpackers or Unpackers()).of(reader, {row["dictionary_sha256"] for row in rows})
    bodies: dict[str, Body | ArchiveCorrupt] = {}
    for row in rows:
        message_id, codec, digest, html_bytes, size_bytes, sha256, content = row.values()
        try:
            bodies[message_id] = made[digest].unpack(PackedBody(codec, digest, html_bytes, size_bytes, sha256, content))
        except ArchiveCorrupt as error:
            bodies[message_id] = error
    return bodies


def _dictionaries(reader: Reader, digests: Iterable[str]) -> Mapping[str, bytes]:
    names, params = listed("sha256", digests)
    if not params:
        return {}
    rows = reader.read(f"SELECT sha256, data FROM archive_dictionaries WHERE sha256 IN ({names})", params)
    return {row["sha256"]: row["data"] for row in rows}
