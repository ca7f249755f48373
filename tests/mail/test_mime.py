"""MIME: a foreign parser reads back exactly what was put into a mail."""

import email
import email.message
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.mime import Mail, Transfer, Wire, build
from service.models import Attachment
from tests.support.sample_mail import MAIL

TRANSFERS: tuple[Transfer, ...] = ("8bit", "quoted-printable")
OWN_HEADERS = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]

#: All that `Rendered.subject` may hold: one line without control characters. Much of it looks like an encoded word.
lines = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200),
    st.text(st.sampled_from('=?utf-8QqBb_é \t=0D0A@<>",\\;:().').filter(lambda c: c != "\t"), max_size=60),
    st.text("ab ", max_size=300),
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    st.text(st.sampled_from(". \r\n=é\0x-_"), max_size=80),
    st.builds(lambda n, c: c * n, st.integers(900, 3_000), st.sampled_from(["x", "é", ".", " "])),
)
#: What a parser of Python 3.11 gives back unchanged: it joins blanks, and parts words of more than one encoded word.
names = lines.map(lambda line: " ".join(word for word in line.split() if len(word.encode()) <= 20))
#: Readers strip blanks at both ends, and `attachments.check` refuses them; Python's own takes `<a>` for a quoted `a`.
file_names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=120).filter(
    lambda name: name == name.strip() and (name[0], name[-1]) != ("<", ">")
)


def parsed(wire: Wire, transfer: Transfer) -> email.message.EmailMessage:
    raw = wire.encode(transfer)
    return email.message_from_bytes(raw, policy=email.policy.default)


def with_crlf(text: str) -> str:
    return re.sub("\r\n|\r|\n", "\r\n", text)


def part_text(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8")


def check_lines(raw: bytes) -> None:
    assert raw.endswith(b"\r\n")
    for line in raw[:-2].split(b"\r\n"):
        assert b"\r" not in line
        assert b"\n" not in line
        assert len(line) <= 998


@given(subject=lines, text=texts, html=texts, transfer=st.sampled_from(TRANSFERS))
def test_bodies_and_subject_come_back_as_they_went_in(subject: str, text: str, html: str, transfer: Transfer) -> None:
    wire = build(replace(MAIL, subject=subject, text=text, html=html))
    message = parsed(wire, transfer)
    assert list(message.keys()) == OWN_HEADERS
    assert message["Subject"] == subject
    plain, marked_up = message.iter_parts()
    assert part_text(plain) == with_crlf(text)
    assert part_text(marked_up) == with_crlf(html)
    check_lines(wire.encode(transfer))
    assert wire.size_bytes(transfer) == len(wire.encode(transfer))


@given(name=names, value=lines)
def test_names_and_further_headers_come_back_as_they_went_in(name: str, value: str) -> None:
    written = '"' + re.sub(r'(["\\])', r"\\\1", name) + '" <noreply@rgz.bj>'
    wire = build(replace(MAIL, from_header=written, reply_to=written, headers=(("X-Note", value),)))
    message = parsed(wire, "8bit")
    assert sorted(message.keys()) == sorted([*OWN_HEADERS, "X-Note"])
    assert message["X-Note"] == value
    for header in ("From", "Reply-To"):
        assert [(one.display_name, one.addr_spec) for one in message[header].addresses] == [(name, "noreply@rgz.bj")]
    check_lines(wire.encode("8bit"))


@given(name=file_names, data=st.binary(max_size=300), transfer=st.sampled_from(TRANSFERS))
def test_attachments_come_back_with_their_names(name: str, data: bytes, transfer: Transfer) -> None:
    files = [Attachment(name, "application/pdf", data, ""), Attachment("b.csv", "text/csv", b"a;b\n", "")]
    wire = build(replace(MAIL, attachments=files))
    message = parsed(wire, transfer)
    alternative, first, second = message.iter_parts()
    assert alternative.get_content_type() == "multipart/alternative"
    assert (first.get_filename(), first.get_payload(decode=True)) == (name, data)
    assert first.get_content_type() == "application/pdf"
    assert (second.get_filename(), second.get_payload(decode=True)) == ("b.csv", b"a;b\n")
    assert [part.get_content_disposition() for part in (first, second)] == ["attachment", "attachment"]
    assert not any(part.defects for part in message.walk())
    check_lines(wire.encode(transfer))


@given(subject=lines)
def test_header_line_with_encoded_words_is_at_most_76_long_and_its_words_75(subject: str) -> None:
    head = build(replace(MAIL, subject=subject)).encode("8bit").partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        if b"=?utf-8?" in line:
            assert len(line) <= 76
            assert max(map(len, re.findall(rb"=\?utf-8\?[qb]\?[^?]*\?=", line))) <= 75


@given(
    text=st.text(max_size=20),
    character=st.sampled_from("\r\n\0\t\x0b\x0c\x1b\x7f\x85\u2028\u2029\ud800"),
    at=st.integers(0, 20),
)
def test_control_character_never_enters_a_header(text: str, character: str, at: int) -> None:
    evil = f"{text[:at]}x{character}y{text[at:]}"
    for changed in (
        {"subject": evil},
        {"from_header": f"{evil} <noreply@rgz.bj>"},
        {"from_header": f"{evil}@rgz.bj"},
        {"to": f"{evil}@rgz.bj"},
        {"reply_to": f'"{evil}" <a@rgz.bj>'},
        {"rfc_message_id": f"{evil}@rgz.bj"},
        {"headers": (("X-Note", evil),)},
        {"headers": ((f"X{evil}", "note"),)},
        {"attachments": (Attachment(evil, "application/pdf", b"x", ""),)},
        {"attachments": (Attachment("a.pdf", f"application/{evil}", b"x", ""),)},
    ):
        with pytest.raises(ValueError, match=r"."):
            build(replace(MAIL, **changed))


def test_encoded_word_in_a_subject_stays_what_it_is() -> None:
    """CVE-2024-6923: Python before 3.11.10 would write a Bcc header here."""
    subject = "=?utf-8?q?x=0d=0aBcc:_evil@x.test?="
    wire = build(replace(MAIL, subject=subject, from_header=f"{subject} <noreply@rgz.bj>"))
    message = parsed(wire, "8bit")
    assert message["Subject"] == subject
    assert message["From"].addresses[0].display_name == subject
    assert message["Bcc"] is None
    assert (
        b"Bcc"
        not in email.message_from_bytes(wire.encode("8bit")).as_bytes(policy=email.policy.SMTP).split(b"\r\n\r\n")[0]
    )


@pytest.mark.parametrize(
    "name", ["Bcc", "to", "Content-Type", "Subject", "Resent-To", "Received", "X Note", "X:", "", "DKIM-Signature"]
)
def test_header_of_ours_or_a_servers_cannot_be_added(name: str) -> None:
    with pytest.raises(ValueError, match="can't be added"):
        build(replace(MAIL, headers=((name, "x"),)))


def test_headers_that_programs_read_are_never_encoded() -> None:
    link = "<https://mail.rgz.bj/unsubscribe/abc>"
    message = parsed(build(replace(MAIL, headers=(("List-Unsubscribe", link),))), "8bit")
    assert message["List-Unsubscribe"] == link
    for bad in ("<https://é.test>", "<https://x.test/?a=?b>", "a  b", ""):
        with pytest.raises(ValueError, match="List-Unsubscribe"):
            build(replace(MAIL, headers=(("List-Unsubscribe", bad),)))


def test_equal_mails_have_equal_bytes_and_another_message_id_other_boundaries() -> None:
    file = Attachment("a.pdf", "application/pdf", b"%PDF", "")
    mail = replace(MAIL, attachments=(file,))
    for transfer in TRANSFERS:
        assert build(mail).encode(transfer) == build(replace(mail)).encode(transfer)
    other = build(replace(mail, rfc_message_id="other@rgz.bj"))
    assert boundaries(build(mail)).isdisjoint(boundaries(other))


def boundaries(wire: Wire) -> set[bytes]:
    return set(re.findall(rb'boundary="([^"]+)"', wire.encode("8bit")))


def test_decoded_content_is_the_same_for_both_transfer_encodings() -> None:
    decoded = [[part.get_payload(decode=True) for part in parsed(build(MAIL), one).walk()] for one in TRANSFERS]
    assert decoded[0] == decoded[1]


def test_boundary_is_another_one_when_a_body_holds_it() -> None:
    first = build(MAIL)
    held = b"".join(boundaries(first)).decode()
    for text in (held, f"--{held}--", f"\r\n--{held}\r\n"):
        message = parsed(build(replace(MAIL, text=text, html="<p></p>")), "8bit")
        assert part_text(next(iter(message.iter_parts()))) == text


def test_long_line_makes_its_own_part_quoted_printable_and_only_that() -> None:
    wire = build(replace(MAIL, html="<p>" + "x" * 996, text="x" * 998))
    plain, marked_up = parsed(wire, "8bit").iter_parts()
    assert (plain["Content-Transfer-Encoding"], marked_up["Content-Transfer-Encoding"]) == ("8bit", "quoted-printable")


def test_headers_are_those_of_a_notice() -> None:
    message = parsed(build(MAIL), "8bit")
    assert message["From"] == "RGZ Notifications <noreply@rgz.bj>"
    assert message["To"] == "reseller@techconnect.bj"
    assert message["Reply-To"] == "support@rgz.bj"
    assert message["Date"].datetime == MAIL.date_at
    assert message["Message-ID"] == "<0192f3a4@rgz.bj>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Reply-To" not in parsed(build(replace(MAIL, reply_to=None)), "8bit")


def test_date_is_written_in_utc() -> None:
    local = datetime(2026, 2, 21, 15, 30, tzinfo=timezone(timedelta(hours=1)))
    assert b"\r\nDate: Sat, 21 Feb 2026 14:30:00 +0000\r\n" in build(replace(MAIL, date_at=local)).encode("8bit")
    assert local.astimezone(UTC) == MAIL.date_at


def test_domain_beyond_ascii_is_written_in_ascii_and_such_a_local_part_needs_smtputf8() -> None:
    wire = build(replace(MAIL, to="info@exämple.test"))
    assert b"\r\nTo: info@xn--exmple-cua.test\r\n" in wire.encode("8bit")
    assert not wire.needs_smtputf8
    assert build(replace(MAIL, to="é@exämple.test")).needs_smtputf8
    assert "To: é@xn--exmple-cua.test".encode() in build(replace(MAIL, to="é@exämple.test")).encode("8bit")


def test_attachment_name_beyond_ascii_has_a_fallback_for_old_readers() -> None:
    file = Attachment("Facture février.pdf", "application/pdf", b"x", "")
    raw = build(replace(MAIL, attachments=(file,))).encode("8bit")
    assert b'\r\n name="Facture fevrier.pdf"\r\n' in raw
    assert b"\r\n filename*=utf-8''Facture%20f%C3%A9vrier.pdf\r\n" in raw
    assert raw.count(b"filename=") == 0


def test_base64_stands_in_lines_of_76() -> None:
    file = Attachment("a.pdf", "application/pdf", bytes(range(256)) * 20, "")
    raw = build(replace(MAIL, attachments=(file,))).encode("8bit")
    body = raw.partition(b"Content-Disposition: attachment")[2].partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    lengths = [len(line) for line in body.split(b"\r\n")]
    assert set(lengths[:-1]) == {76}
    assert 0 < lengths[-1] <= 76


def test_mail_is_data_and_can_be_compared() -> None:
    assert replace(MAIL) == MAIL
    assert isinstance(MAIL, Mail)
    assert build(MAIL) == build(MAIL)


def test_build_folds_many_visible_addresses_within_78_characters() -> None:
    many = [f"someone.number.{n}@a-domain-of-some-length.example" for n in range(40)]
    wire = build(replace(MAIL, visible_to=MAIL.to, visible_cc=", ".join(["josé@example.com", *many])))
    assert not wire.needs_smtputf8
    head = wire.encode("8bit").partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78
    mail = email.message_from_bytes(head + b"\r\n\r\n", policy=email.policy.default)
    assert [one.addr_spec for one in mail["cc"].addresses] == many
    assert next(group.display_name for group in mail["cc"].groups) == "josé@example.com"
