"""Odd mails: each is read without an exception, in steps that grow with its size, whatever reads it."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.dev_mailbox import DevMailbox
from service.feedback.bounce.returned_mail import read_returned_mail
from service.mail import inspection
from service.mail.charsets import codec_of, decode
from service.mail.encoded_words import decode_words
from service.mail.html_tokens import tokens, unescape
from service.mail.neutral_html import neutralised
from service.mail.parameters import parse_parameters
from tests.support.odd_mails import GROWING, ODD


def read_everywhere(raw: bytes) -> None:
    """Read a mail as the mailbox's pages and the bounce mailbox do; each result must be one that can be written."""
    found = inspection.inspect(raw)
    repr(found).encode()
    neutralised(found.html or "").encode()
    for n in range(len(found.parts) + 1):
        inspection.file(raw, n)
    inspection.embedded_images(raw)
    read_returned_mail(raw).as_json()
    mailbox = DevMailbox(max_messages=1)
    mailbox.keep("a@x.example", ["b@x.example"], raw)
    [item] = mailbox.list()
    item.subject.encode()
    assert mailbox.raw(item.id) == raw


@pytest.mark.parametrize("raw", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("times", [1, 3])
def test_odd_mail_is_read_without_an_exception(raw: bytes, times: int) -> None:
    read_everywhere(raw * times)


@given(st.sampled_from(sorted(ODD)), st.sampled_from(sorted(ODD)), st.data())
def test_odd_mails_torn_and_joined_are_read_without_an_exception(one: str, other: str, data: st.DataObject) -> None:
    head, tail = ODD[one][:3_000], ODD[other][:3_000]
    read_everywhere(head[: data.draw(st.integers(0, len(head)))] + data.draw(st.binary(max_size=8)) + tail)


def read_frame(raw: bytes) -> str:
    return neutralised(raw.decode("latin-1"))


def steps_of(read: Callable[[bytes], object], raw: bytes) -> int:
    """The calls, of Python and of C, that reading the mail makes."""
    count = 0

    def step(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        read(raw)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", GROWING)
def test_steps_of_reading_a_mail_grow_no_faster_than_its_size(name: str) -> None:
    few, many = GROWING[name](200), GROWING[name](400)
    for read in (inspection.inspect, read_returned_mail, read_frame):
        read(few)  # what is computed once is not counted
        assert steps_of(read, many) < 2.5 * steps_of(read, few) + 2_000


@pytest.mark.parametrize("name", GROWING)
def test_mail_of_a_megabyte_is_read_in_bounded_steps(name: str) -> None:
    """A reader of quadratic cost takes minutes or hours for one of these; the end of the test is the proof."""
    grown = GROWING[name]
    size_bytes = len(grown(1_100)) - len(grown(100))
    raw = grown(1_000 * 1024 * 1024 // size_bytes)[: 1024 * 1024]
    read_returned_mail(raw)
    inspection.inspect(raw)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", "utf_8"), ('"iso-8859-1"', "latin_1"), ("us-ascii", "ascii"), ("Windows-1252", "cp1252"),
        ("GB2312", "gb2312"), ("Shift_JIS", "shift_jis"), ("x-sjis", "cp932"), ("ISO-8859-8-I", "iso8859_8"),
        ("koi8-r", "koi8_r"), ("unicode-1-1-utf-7", "utf_7"), ("big5-hkscs", "big5hkscs"),
        ("punycode", None), ("idna", None), ("unicode_escape", None), ("undefined", None), ("rot13", None),
        ("utf-8\0", "utf_8"), ("\0", None), ("zlib", None), ("a" * 100_000, None), ("", None),
    ],
)  # fmt: skip
def test_character_set_is_one_of_mail_or_none(name: str, codec: str | None) -> None:
    assert codec_of(name) == codec


def test_text_is_decoded_by_its_character_set_or_as_far_as_it_can_be() -> None:
    assert decode("é".encode("cp1252"), "windows-1252") == "é"
    assert decode("é".encode(), "unknown") == "é"
    assert decode(b"\xe9", "utf-8") == "\ufffd"
    assert decode(b"\xe9", "us-ascii") == "é"
    assert decode(b"+2AA-x", "utf-7") == "\ufffdx"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?w6k=?= =?utf-8?Q?=C3?=\r\n =?utf-8?q?=A9_x?=", "éé x"),
        ("a =?iso-8859-1?q?=E9?= b =?utf-8?q?=C3=A9?=", "a é b é"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?b?= c", "ab c"),
        ("=?utf-8*fr?q?a?=", "a"),
        ("=?punycode?q?a-b?=", "a-b"),
        ("=?utf-8?b?A?= x", "=?utf-8?b?A?= x"),
        ("é =?utf-8?q?=C3=A9?=", "é é"),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
    ],
)
def test_encoded_words_are_decoded_and_broken_ones_stay(value: str, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        ("Text/Plain; Charset=UTF-8 ; b = c", "text/plain", {"charset": "UTF-8", "b": "c"}),
        ('a/b; name="x;y \\"z\\""; n=1', "a/b", {"name": 'x;y "z"', "n": "1"}),
        ("a/b; name*=utf-8'fr'caf%C3%A9.txt", "a/b", {"name": "café.txt"}),
        ("a/b; name*1*=%A9; name*0*=utf-8''%C3; name*2=x", "a/b", {"name": "éx"}),
        ('a/b; name="=?utf-8?q?=C3=A9?="', "a/b", {"name": "é"}),
        ("a/b; name=x; name*=''y", "a/b", {"name": "y"}),
        ('a/b; name="open', "a/b", {"name": "open"}),
        ("a/b (comment); ; =; ;x", "a/b", {}),
        ("attachment", "attachment", {}),
    ],
)
def test_parameters_of_a_header_are_read(value: str, kind: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(value) == (kind, parameters)


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("a<b>c</b>", [("text", "a"), ("open", "<b>"), ("text", "c"), ("close", "</b>")]),
        ("1 < 2 <3 </ x", [("text", "1 < 2 <3 </ x")]),
        ("<!-- <b> --><!x><?y>", [("markup", "<!-- <b> -->"), ("markup", "<!x>"), ("markup", "<?y>")]),
        ("<style>a<b</STYLE >", [("open", "<style>"), ("raw", "a<b"), ("close", "</STYLE >")]),
        ("<script>a", [("open", "<script>"), ("raw", "a")]),
        ("x<a href='>'", [("text", "x"), ("open", "<a href='>'")]),
        ("<!-- a <b>", [("markup", "<!-- a <b>")]),
        ("<a b='", [("open", "<a b='")]),
    ],
)
def test_tokens_of_html_hold_each_character_once(document: str, parts: list[tuple[str, str]]) -> None:
    assert [(token.kind, token.text) for token in tokens(document)] == parts


@given(st.text(alphabet="<>/!-?= \"'ab&#;", max_size=60))
def test_tokens_of_any_html_hold_each_character_once(document: str) -> None:
    assert "".join(token.text for token in tokens(document)) == document


def test_attributes_are_those_that_a_browser_reads() -> None:
    [token] = tokens("<A HREF=x&amp;y b c = 'd\"' b=2 / e>")
    assert (token.name, token.attributes) == ("a", (("href", "x&y"), ("b", None), ("c", 'd"'), ("e", None)))


def test_reference_to_a_number_of_any_length_is_a_replacement_character() -> None:
    assert unescape("&#" + "9" * 5_000 + ";&#65;&eacute;&#0000000000065;") == "\ufffdAéA"
