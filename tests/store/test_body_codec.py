"""Compressed bodies are read back byte for byte, or reported as corrupt."""

import os
from dataclasses import replace

import pytest

from service.errors import ArchiveCorrupt
from service.models import Body
from service.store import message_queries
from service.store.body_codec import Unpacker
from service.store.database import ConstraintBroken, Database
from tests.support import rows


@pytest.mark.parametrize("dictionary", [None, b"", b"x", rows.DICTIONARY])
@pytest.mark.parametrize(
    ("html", "text"),
    [("", ""), ("a", ""), ("", "b"), (rows.HTML, rows.TEXT), ("é\x00\r\n😀", "\u2028"), ("x" * 2_000_000, "")],
)
def test_pack_gives_back_the_exact_parts(html: str, text: str, dictionary: bytes | None) -> None:
    packed = rows.pack(html, text, dictionary=dictionary)
    assert Unpacker(dictionary).unpack(packed) == Body(html.encode(), text.encode())


def test_pack_is_small_with_the_example_as_dictionary() -> None:
    with_dictionary = rows.pack(rows.HTML, rows.TEXT, dictionary=rows.DICTIONARY)
    assert len(with_dictionary.content) < 100 < len(rows.HTML)
    assert len(with_dictionary.content) < len(rows.pack(rows.HTML, rows.TEXT, dictionary=None).content)


def test_pack_refuses_lone_surrogates() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        rows.pack("\ud800", "", dictionary=None)


def test_unpack_never_gives_back_other_bytes() -> None:
    packed = rows.pack(rows.HTML, rows.TEXT, dictionary=rows.DICTIONARY)
    content = packed.content
    broken = [
        replace(packed, content=content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :]) for n in range(len(content))
    ]
    broken += [replace(packed, content=content[:n]) for n in range(len(content))]
    broken += [replace(packed, content=os.urandom(50)), replace(packed, sha256="0" * 64), replace(packed, size_bytes=1)]
    for one in broken:
        # Some bits carry nothing; then the bytes are the same, and that is all that is asked.
        try:
            assert Unpacker(rows.DICTIONARY).unpack(one) == Body(rows.HTML.encode(), rows.TEXT.encode())
        except ArchiveCorrupt:
            continue
    for dictionary in (None, b"another"):
        with pytest.raises(ArchiveCorrupt):
            Unpacker(dictionary).unpack(packed)
    with pytest.raises(ArchiveCorrupt):
        Unpacker(rows.DICTIONARY).unpack(replace(broken[-3], size_bytes=packed.size_bytes))


def test_body_is_corrupt_when_the_row_was_changed(database: Database) -> None:
    message_id = rows.store_one(database)
    packed = rows.pack("<p>forged</p>", "", dictionary=None)
    database.write(lambda tx: tx.execute("UPDATE email_bodies SET content = :content", {"content": packed.content}))
    with pytest.raises(ArchiveCorrupt):
        message_queries.body(database, message_id)


def test_body_is_none_once_its_row_is_gone(database: Database) -> None:
    message_id = rows.store_one(database)
    database.write(lambda tx: tx.execute("DELETE FROM email_bodies"))
    assert message_queries.body(database, message_id) is None


def test_add_refuses_a_body_whose_dictionary_is_not_kept(database: Database) -> None:
    send = rows.new_send()
    new = rows.new_message(send)
    packed = rows.pack(new.html, new.text, dictionary=b"nobody has this")
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: rows.add(tx, send, [(new, packed)]))
