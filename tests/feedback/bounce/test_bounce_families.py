"""Bounce reports of many mail servers: every recipient and the class of its status is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.feedback.bounce.report import ParsedReport
from service.feedback.bounce.returned_mail import ReturnedMail, read_returned_mail
from service.mail.parser import MAX_READ_BYTES
from tests.support.bounce_families import CASES, Case, plain


def read_report(raw: bytes) -> ParsedReport:
    """What a mail says, as another process would hand it over."""
    return ReturnedMail.from_json(read_returned_mail(raw).as_json()).report


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bounce_report_names_every_recipient_and_the_reason(case: Case) -> None:
    reading = read_report(case.raw)
    assert reading.kind == case.kind
    assert {one.address: one.status for one in reading.recipients} == case.says
    assert reading.original_message_id == case.original_message_id
    classes = {"5": "permanent", "4": "temporary"}
    assert all(one.bounce_type == classes.get((one.status or "")[:1]) for one in reading.recipients)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("name", ["postfix_dsn", "qmail", "exim", "arf", "sendmail_old", "gmail"])
def test_line_endings_do_not_matter_to_a_bounce_report(name: str, line_end: bytes) -> None:
    assert read_report(CASES[name].raw.replace(b"\n", line_end)) == read_report(CASES[name].raw)


def test_mbox_line_before_a_bounce_report_is_skipped() -> None:
    case = CASES["postfix_dsn"]
    assert read_report(b"From MAILER-DAEMON Fri Feb 20 10:00:00 2026\n" + case.raw) == read_report(case.raw)


def test_bounce_report_is_read_with_nul_bytes_and_at_50_mb() -> None:
    case = CASES["postfix_dsn"]
    expected = read_report(case.raw)
    assert read_report(case.raw.replace(b"Reporting", b"\0Reporting\0")) == expected
    assert read_report(case.raw + b"x" * (50 * 1024 * 1024)) == expected


def test_bounce_report_is_not_read_beyond_its_bounds() -> None:
    late = plain("x\n" * MAX_READ_BYTES + "<u@there.example>:\n550 5.1.1 no\n")
    assert read_report(late).recipients == ()


@given(st.sampled_from(sorted(CASES)), st.data())
def test_bounce_report_that_is_torn_or_damaged_is_read_without_an_error(name: str, data: st.DataObject) -> None:
    raw = bytearray(CASES[name].raw)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
    read_report(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


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
    read_report(raw)


@pytest.mark.parametrize("opened", [b"<style", b"<!--", b"<a ", b"<br "])
def test_html_that_is_never_closed_is_read_in_bounded_steps(opened: bytes) -> None:
    assert read_report(plain("").replace(b"text/plain", b"text/html") + opened * 20_000).recipients == ()
