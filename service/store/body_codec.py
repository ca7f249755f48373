"""Compression of message bodies with zstd, and verification of what is read: one frame holds HTML and text.

The dictionary is an example rendering of the template, raw content: 37 KB become about 1 KB with it, 4 KB without.
"""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

import zstandard

from service.errors import ArchiveCorrupt
from service.models import Body
from service.store.database import Reader, listed
from service.store.database.contract import Row
from service.store.sized_cache import SizedCache

# Level 3: 20-79 us for 37 KB; level 9 saves 20 % more for four times the time.
_LEVEL = 3
#: What a compressor or decompressor needs beside its dictionary (measured with 37 KB, 400 KB and 2 MB).
_STATE_BYTES = 75_000
#: Memory of the compressors, and of the decompressors, that are kept: 300 templates of 25 KB.
CODECS_BYTES = 32 * 1024 * 1024

BODY_COLUMNS = "message_id, codec, dictionary_sha256, html_bytes, size_bytes, sha256, content"


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A compressed body; sizes and `sha256` are of the unpacked UTF-8, HTML first, then text."""

    codec: Literal["zstd", "zstd-dictionary"]
    dictionary_sha256: str | None
    html_bytes: int
    size_bytes: int
    sha256: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PlainBody:
    """A body before it is packed: the UTF-8 of HTML and text, where the HTML ends, and the digest of it all."""

    content: bytes
    html_bytes: int
    sha256: str

    @classmethod
    def of(cls, html: str, text: str) -> "PlainBody":
        """Raises ValueError for lone surrogates."""
        first = html.encode()
        whole = first + text.encode()
        return cls(whole, len(first), digest_of(whole))


class Packer:
    """Compresses the bodies of one revision; its dictionary is prepared once. Thread-safe."""

    def __init__(self, dictionary: bytes | None) -> None:
        self._dictionary_sha256 = digest_of(dictionary) if dictionary else None
        self.size_bytes = _STATE_BYTES + len(dictionary or b"")
        self._compressor = _compressor(dictionary or None)
        self._lock = threading.Lock()  # a compressor serves one thread at a time

    def pack_all(self, bodies: Sequence[PlainBody]) -> list[PackedBody]:
        """Compress all bodies in one call of the library, which releases the interpreter once and not for each."""
        if not bodies:
            return []
        contents: list[Any] = [body.content for body in bodies]
        with self._lock:
            if all(contents):
                frames = self._compressor.multi_compress_to_buffer(contents)
                packed = [frames[n].tobytes() for n in range(len(frames))]
            else:  # the call refuses empty contents
                packed = [self._compressor.compress(content) for content in contents]
        return [
            PackedBody(
                codec="zstd-dictionary" if self._dictionary_sha256 else "zstd",
                dictionary_sha256=self._dictionary_sha256,
                html_bytes=body.html_bytes,
                size_bytes=len(body.content),
                sha256=body.sha256,
                content=frame,
            )
            for body, frame in zip(bodies, packed, strict=True)
        ]


class Unpacker:
    """Decompresses the bodies of one dictionary, which is prepared once. For one thread at a time."""

    def __init__(self, dictionary: bytes | None) -> None:
        self.size_bytes = _STATE_BYTES + len(dictionary or b"")
        self._decompressor = _decompressor(dictionary)

    def unpack(self, packed: PackedBody) -> Body:
        """The exact HTML and text. Raises ArchiveCorrupt where they do not match their digest."""
        whole = _decompress(packed.content, self._decompressor, packed.size_bytes)
        if whole is None or len(whole) != packed.size_bytes or digest_of(whole) != packed.sha256:
            raise ArchiveCorrupt("The stored body does not match its digest.")
        html, text = whole[: packed.html_bytes], whole[packed.html_bytes :]
        if text and text[0] & 0xC0 == 0x80:  # the boundary of the parts lies within a character
            raise ArchiveCorrupt("The stored body does not match its digest.")
        return Body(html, text)


class Unpackers:
    """Cache of the last Unpackers, by the digest of their dictionary. For one thread at a time."""

    def __init__(self) -> None:
        self._made: SizedCache[str | None, Unpacker] = SizedCache(CODECS_BYTES, attrgetter("size_bytes"))

    def of(self, reader: Reader, digests: set[str | None]) -> Mapping[str | None, Unpacker]:
        """An Unpacker for each digest; None stands for bodies without a dictionary."""
        found = {digest: one for digest in digests if (one := self._made.get(digest)) is not None}
        missing = digests - found.keys()
        if missing:
            dictionaries = _dictionaries(reader, [digest for digest in missing if digest is not None])
            for digest in missing:
                found[digest] = self._made.put(digest, Unpacker(dictionaries.get(digest) if digest else None))
        return found


def unpack_rows(reader: Reader, rows: Sequence[Row], unpackers: Unpackers) -> dict[str, Body | ArchiveCorrupt]:
    """Decompress rows with BODY_COLUMNS: bodies by message id, or the error of one that can't be read."""
    made = unpackers.of(reader, {row["dictionary_sha256"] for row in rows})
    bodies: dict[str, Body | ArchiveCorrupt] = {}
    for row in rows:
        message_id, codec, digest, html_bytes, size_bytes, sha256, content = row.values()
        try:
            bodies[message_id] = made[digest].unpack(PackedBody(codec, digest, html_bytes, size_bytes, sha256, content))
        except ArchiveCorrupt as error:
            bodies[message_id] = error
    return bodies


def verified(data: bytes, sha256: str) -> bytes:
    """`data`, if it has this digest. Raises ArchiveCorrupt."""
    if digest_of(data) != sha256:
        raise ArchiveCorrupt("The stored attachment does not match its digest.")
    return data


def compress(data: bytes) -> bytes:
    """`data` as a Zstandard frame, without a dictionary."""
    return _compressor(None).compress(data)


def decompress(data: bytes, sha256: str) -> bytes:
    """The decompressed bytes, if they have this digest. Raises ArchiveCorrupt."""
    whole = _decompress(data, _decompressor(None), None)
    if whole is None or digest_of(whole) != sha256:
        raise ArchiveCorrupt("The stored template does not match its digest.")
    return whole


def _compressor(dictionary: bytes | None) -> zstandard.ZstdCompressor:
    options: dict[str, Any] = {"dict_data": _raw_content(dictionary)} if dictionary else {}
    return zstandard.ZstdCompressor(level=_LEVEL, write_dict_id=False, write_checksum=False, **options)


def _decompressor(dictionary: bytes | None) -> zstandard.ZstdDecompressor:
    options: dict[str, Any] = {"dict_data": _raw_content(dictionary)} if dictionary else {}
    return zstandard.ZstdDecompressor(**options)


def _decompress(data: bytes, decompressor: zstandard.ZstdDecompressor, size_bytes: int | None) -> bytes | None:
    """Decompress a frame; None where it is incomplete, or would become larger than `size_bytes`."""
    try:
        if size_bytes is not None and zstandard.frame_content_size(data) != size_bytes:
            return None
        return decompressor.decompress(data)
    except zstandard.ZstdError:
        return None


def _raw_content(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def digest_of(data: bytes) -> str:
    """The SHA-256 digest in hex."""
    return hashlib.sha256(data).hexdigest()


def _dictionaries(reader: Reader, digests: Iterable[str]) -> Mapping[str, bytes]:
    names, params = listed("sha256", digests)
    if not params:
        return {}
    rows = reader.read(f"SELECT sha256, data FROM archive_dictionaries WHERE sha256 IN ({names})", params)
    return {row["sha256"]: row["data"] for row in rows}
