"""What mail servers say is understood: each way of saying it, every recipient and the class of its status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.feedback.bounce.parse import parse_bounce
from service.mail.parser import MAX_READ_BYTES
from service.mail.smtp_status import find_reply, find_status, settle_status, subtype_of
from tests.support.bounce_families import CASES, Case, plain


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bounce_report_names_every_recipient_and_the_reason(case: Case) -> None:
    reading = parse_bounce(case.raw)
    assert reading.kind == case.kind
    assert {one.address: one.status for one in reading.recipients} == case.says
    assert reading.original_message_id == case.original_message_id
    classes = {"5": "permanent", "4": "temporary"}
    assert all(one.bounce_type == classes.get((one.status or "")[:1]) for one in reading.recipients)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("name", ["postfix_dsn", "qmail", "exim", "arf", "sendmail_old", "gmail"])
def test_line_endings_do_not_matter_to_a_bounce_report(name: str, line_end: bytes) -> None:
    assert parse_bounce(CASES[name].raw.replace(b"\n", line_end)) == parse_bounce(CASES[name].raw)


def test_mbox_line_before_a_bounce_report_is_skipped() -> None:
    case = CASES["postfix_dsn"]
    assert parse_bounce(b"From MAILER-DAEMON Fri Feb 20 10:00:00 2026\n" + case.raw) == parse_bounce(case.raw)


def test_bounce_report_is_read_with_nul_bytes_and_at_50_mb() -> None:
    case = CASES["postfix_dsn"]
    expected = parse_bounce(case.raw)
    assert parse_bounce(case.raw.replace(b"Reporting", b"\0Reporting\0")) == expected
    assert parse_bounce(case.raw + b"x" * (50 * 1024 * 1024)) == expected


def test_bounce_report_is_not_read_beyond_its_bounds() -> None:
    late = plain("x\n" * MAX_READ_BYTES + "<u@there.example>:\n550 5.1.1 no\n")
    assert parse_bounce(late).recipients == ()


@given(st.sampled_from(sorted(CASES)), st.data())
def test_bounce_report_that_is_torn_or_damaged_is_read_without_an_error(name: str, data: st.DataObject) -> None:
    raw = bytearray(CASES[name].raw)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
    parse_bounce(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


#: Texts on which a careless pattern takes minutes. Each is read in a moment; a hang would be the end of the test.
HOSTILE = {
    "dashes": b"-" * 100_000,
    "lines of dashes": (b"-" * 70 + b"\n") * 5_000,
    "blank lines": b"\n" * 200_000,
    "signs": b"@" * 100_000,
    "brackets": b"<" * 100_000,
    "dots": b"a@" + b"b." * 50_000,
    "labels": b"to: " * 30_000,
    "headers": b"to:\n" * 30_000,
    "phrases": b"failed to deliver to " * 5_000 + b"@",
    "codes": b"550 5.1.1 " * 10_000,
    "quotes": b'"\\' * 50_000 + b"@",
    "fields": b"Final-Recipient: rfc822; x@y\nStatus: 5\n" * 3_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_hostile_text_is_read_in_bounded_steps(text: bytes, kind: str) -> None:
    raw = plain("").replace(b"text/plain", b"text/" + kind.encode()) + text
    parse_bounce(raw)


@pytest.mark.parametrize("opened", [b"<style", b"<!--", b"<a ", b"<br "])
def test_html_that_is_never_closed_is_read_in_bounded_steps(opened: bytes) -> None:
    assert parse_bounce(plain("").replace(b"text/plain", b"text/html") + opened * 20_000).recipients == ()


@pytest.mark.parametrize(
    ("words", "status", "reply"),
    [
        ("550 5.1.1 no", "5.1.1", 550),
        ("550-5.7.1 first\n550 5.7.1 second", "5.7.1", 550),
        ("(#5.1.2)", "5.1.2", None),
        ("said: 452 4.2.2 <a@b.example>... full", "4.2.2", 452),
        ("554 5.0.0 Service unavailable, 5.2.1 before", "5.2.1", 554),
        ("host mx[192.0.2.55] port 25, version 5.1.12.3, 5.1.1.1", None, None),
        ("tried for 500 seconds and 552 bytes", None, None),
        ("v5.1.2 of the software", None, None),
        ("451", None, 451),
    ],
)
def test_status_codes_are_told_from_other_numbers(words: str, status: str | None, reply: int | None) -> None:
    assert (find_status(words), find_reply(words)) == (status, reply)


@pytest.mark.parametrize(
    ("field", "words", "status"),
    [
        ("5.0.0", "550 5.1.1 no", "5.1.1"),
        ("5.1.1", "550 no", "5.1.1"),
        ("4.4.7", "550 5.1.1 no", "5.1.1"),
        ("5.2.1", "550 5.1.1 no", "5.2.1"),
        ("5.0.0", "452 4.2.2 full", "4.2.2"),
        ("4.0.0", "", "4.0.0"),
        (None, "452 full", "4.0.0"),
        (None, "no", None),
    ],
)
def test_diagnostic_text_of_the_refusing_server_wins_where_the_status_is_vague(
    field: str | None, words: str, status: str | None
) -> None:
    assert settle_status(field, words)[0] == status


@pytest.mark.parametrize(
    ("status", "words", "subtype"),
    [
        ("5.1.1", "", "NoEmail"),
        ("5.2.2", "", "MailboxFull"),
        ("5.0.0", "mailbox is full", "MailboxFull"),
        ("5.3.4", "", "MessageTooLarge"),
        ("5.7.1", "looks like spam", "ContentRejected"),
        ("5.7.1", "relaying denied", "General"),
        ("5.0.0", "User unknown", "NoEmail"),
        ("5.0.0", "no", "General"),
    ],
)
def test_bounce_reason_is_said_in_the_words_of_amazon_ses(status: str, words: str, subtype: str) -> None:
    assert subtype_of(status, words) == subtype
