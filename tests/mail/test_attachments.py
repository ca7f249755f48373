"""Attachments are accepted by name, declared type and content."""

import base64
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter

from service.mail import attachments

ALLOWED = ("pdf", "png", "jpg", "json", "csv")
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
JPG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9"


def real_pdf() -> bytes:
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(72, 72)
    writer.write(out)
    return out.getvalue()


PDF = real_pdf()


def codes(filename: str, content_type: str, data: bytes, allowed: tuple[str, ...] = ALLOWED) -> list[tuple[str, str]]:
    return [(field, code) for field, code, _ in attachments.check(filename, content_type, data, allowed=allowed)]


@pytest.mark.parametrize(
    ("filename", "content_type", "data"),
    [
        ("facture.pdf", "application/pdf", PDF),
        ("a.pdf", "application/pdf", b"\n" + PDF),
        ("a.pdf", "application/pdf", b"\r\n\r\n \t" + PDF),
        ("a.pdf", "application/pdf", b"\xef\xbb\xbf" + PDF),
        ("a.pdf", "application/pdf", b"\xff\xfe\r\n\0" + PDF),
        ("a.pdf", "application/pdf", b"\n" * 1_019 + PDF),
        ("FACTURE.PDF", "Application/PDF", PDF),
        ("Facture février n° 3.pdf", "application/pdf", PDF),
        ("a.png", "image/png", PNG),
        ("a.jpg", "image/jpeg", JPG),
        ("a.jpeg", "image/jpeg", JPG),
        ("a.json", "application/json", b'{"a": [1, "\xc3\xa9"]}'),
        ("a.csv", "text/csv", "nom;montant\né;450\n".encode()),
        ("a.csv", "text/csv; charset=utf-8", b'"a","b\nc"\n'),
        ("a.csv", "text/csv", b"\xef\xbb\xbfa,b\r\n"),
    ],
)
def test_check_takes_an_honest_file(filename: str, content_type: str, data: bytes) -> None:
    assert codes(filename, content_type, data) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "../a.pdf",
        "a/b.pdf",
        "a\\b.pdf",
        "C:a.pdf",
        "a\0.pdf",
        "a\r\n.pdf",
        "a\x1b.pdf",
        "a\u202efdp.pdf",
        "a\u2066.pdf",
        "a\u200b.pdf",
        "a\ufeff.pdf",
        "a\u2028.pdf",
        "a\ud800.pdf",
        ".a.pdf",
        ".pdf",
        " a.pdf",
        "é" * 126 + ".pdf",
    ],
)
def test_check_refuses_a_dangerous_name(name: str) -> None:
    assert ("filename", "filename") in codes(name, "application/pdf", PDF)


def test_check_takes_a_name_of_255_octets() -> None:
    assert codes("é" * 125 + "x.pdf", "application/pdf", PDF) == []


@pytest.mark.parametrize("name", ["a.exe", "a", "a.pdf.exe", "a.pdf.", "a.html", "a.svg"])
def test_check_refuses_an_ending_that_is_not_allowed(name: str) -> None:
    assert ("filename", "type_not_allowed") in codes(name, "application/pdf", PDF)


def test_check_allows_only_what_the_template_allows() -> None:
    assert codes("a.png", "image/png", PNG, ("pdf",)) == [("filename", "type_not_allowed")]
    assert codes("a.jpg", "image/jpeg", JPG, ("jpeg",)) == []
    assert codes("a.pdf", "application/pdf", PDF, ()) == [("filename", "type_not_allowed")]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "application/octet-stream",
        "",
        "application/pdf; name=x.exe",
        "application/pdf\r\nX: y",
        "a" + " " * 100_000 + "b",
        "application/pdf" + ";" * 100_000 + "charset=utf-8",
        "image/png",
    ],
)
def test_check_wants_the_declared_type_to_agree_with_the_ending(content_type: str) -> None:
    assert codes("a.pdf", content_type, PDF) == [("content_type", "content_type")]


@pytest.mark.parametrize(
    ("filename", "content_type", "data"),
    [
        ("a.pdf", "application/pdf", b"MZ\x90\0" + b"\0" * 100),
        ("a.pdf", "application/pdf", b"MZ\x90\0%PDF-1.7"),
        ("a.pdf", "application/pdf", b"<script></script>\n%PDF-1.7"),
        ("a.pdf", "application/pdf", b"\n" * 1_020 + b"%PDF-1.7"),
        ("a.pdf", "application/pdf", b"\x7fELF" + b"\0" * 100),
        ("a.pdf", "application/pdf", b"#!/bin/sh\nrm -rf /\n"),
        ("a.pdf", "application/pdf", b"<html><script>"),
        ("a.pdf", "application/pdf", PNG),
        ("a.pdf", "application/pdf", b"%PD"),
        ("a.png", "image/png", PNG[:7]),
        ("a.png", "image/png", b"\x89PNG"),
        ("a.png", "image/png", JPG),
        ("a.jpg", "image/jpeg", JPG[:2]),
        ("a.jpg", "image/jpeg", PNG),
        ("a.json", "application/json", b"{"),
        ("a.json", "application/json", b"NaN"),
        ("a.json", "application/json", b"[Infinity]"),
        ("a.json", "application/json", b"\xff\xfe{}"),
        ("a.json", "application/json", b"[" * 100_000),
        ("a.json", "application/json", b"1" * 5_000),
        ("a.csv", "text/csv", b"a,b\0c\n"),
        ("a.csv", "text/csv", b"\xff\xfea,b\n"),
        ("a.csv", "text/csv", b'"a,b\n'),
        ("a.csv", "text/csv", b'"a"x,b\n'),
        ("a.csv", "text/csv", b"\n\n"),
        ("a.csv", "text/csv", PDF),
        ("a.csv", "text/csv", b"x" * 200_000),
    ],
)
def test_check_refuses_a_content_that_is_not_what_the_name_says(filename: str, content_type: str, data: bytes) -> None:
    assert codes(filename, content_type, data) == [("data_base64", "content")]


def test_check_refuses_an_empty_file_and_names_every_mistake_at_once() -> None:
    assert codes("x/a.pdf", "image/png", b"") == [
        ("filename", "filename"),
        ("content_type", "content_type"),
        ("data_base64", "empty"),
    ]


def test_check_speaks_in_sentences() -> None:
    for _, _, sentence in attachments.check("../.a.pdf", "x", b"", allowed=ALLOWED):
        assert sentence.endswith(".")
        assert sentence.isprintable()


@pytest.mark.parametrize(
    ("ending", "content_type", "data", "expected"),
    [
        ("txt", "text/plain", b"bonjour\n", []),
        ("txt", "text/plain", b"\0", [("data_base64", "content")]),
        ("gif", "image/gif", b"GIF89a" + b"\1\0" * 20, []),
        ("gif", "image/gif", PNG, [("data_base64", "content")]),
        ("unheardof", "application/x-unheardof", b"x", [("content_type", "content_type"), ("data_base64", "content")]),
    ],
)
def test_check_knows_further_types_by_their_signatures(
    ending: str, content_type: str, data: bytes, expected: list[tuple[str, str]]
) -> None:
    assert codes(f"a.{ending}", content_type, data, (ending,)) == expected


@given(name=st.text(max_size=60), content_type=st.text(max_size=30), data=st.binary(max_size=200))
def test_check_never_fails_whatever_comes(name: str, content_type: str, data: bytes) -> None:
    for ending in ALLOWED:
        assert codes(f"{name}.{ending}", content_type, data)


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_json_of_any_shape_is_json(value: object) -> None:
    assert codes("a.json", "application/json", json.dumps(value).encode()) == []


@given(data=st.binary(max_size=500))
def test_base64_comes_back_with_and_without_line_breaks(data: bytes) -> None:
    assert attachments.decode_base64(base64.b64encode(data).decode()) == data
    assert attachments.decode_base64(base64.encodebytes(data).decode()) == data
    assert attachments.decode_base64(base64.encodebytes(data).decode().replace("\n", "\r\n")) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AA=",
        "AA==AA==",
        "AAAA=",
        "=AAA",
        "AA AA",
        "AA-_",
        "AAA\u00e9",
        "JVBERi0...",
        "data:application/pdf;base64,AAAA",
        "AAAA\0",
    ],
)
def test_base64_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not base64"):
        attachments.decode_base64(text)


def test_build_gives_the_usual_type_and_the_digest() -> None:
    built = attachments.build("a.JPEG", "image/jpg", JPG)
    assert (built.filename, built.content_type, built.data) == ("a.JPEG", "image/jpeg", JPG)
    assert built.sha256 == hashlib.sha256(JPG).hexdigest()
    assert attachments.build("a.gif", "image/GIF", b"GIF89a").content_type == "image/gif"
