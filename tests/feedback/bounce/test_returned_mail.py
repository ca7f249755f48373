"""A returned mail as a value: plain, bounded, and the same after a way through JSON."""

import pytest

from service.feedback.bounce.report import MailKind, ParsedReport, RecipientStatus
from service.feedback.bounce.returned_mail import ReturnedMail, read_returned_mail
from service.mail import return_path
from tests.support.returned_mails import complaint, report

KEY = b"key-of-the-tests"
ID = "01932f6e-7b1c-7c3a-9f00-0123456789ab"
PATH = return_path.signed("bounces@mail.rgz.bj", ID, key=KEY)


@pytest.mark.parametrize(
    "raw",
    [
        report(PATH),
        report("x@rgz.bj", returned_path=PATH),
        complaint("abuse@rgz.bj", returned_path=PATH),
        f"Received: from x for <{PATH}>; Thu\r\n\r\n550 5.1.1 <a@b.example>\r\n".encode(),
    ],
    ids=["to", "returned", "complaint", "received"],
)
def test_returned_mail_names_its_return_path_and_is_the_same_after_json(raw: bytes) -> None:
    mail = read_returned_mail(raw)
    assert return_path.verified(mail.return_paths, keys=[KEY]) == ID
    assert mail.as_json().isascii()
    assert ReturnedMail.from_json(mail.as_json()) == mail


def test_returned_mail_with_lone_surrogates_is_the_same_after_json() -> None:
    status = RecipientStatus(MailKind.BOUNCE, "\udcff@x.example", "5.1.1", 550, "NoEmail", "\ud800 no", suppresses=True)
    mail = ReturnedMail(("a" * 42,), ParsedReport(MailKind.BOUNCE, (status,), "\udfff@x"))
    assert ReturnedMail.from_json(mail.as_json()) == mail


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"return_paths": 1, "report": {}}', "[" * 100_000])
def test_returned_mail_is_refused_when_its_json_is_another(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ReturnedMail.from_json(text)


def test_returned_mail_is_bounded_in_number_and_length() -> None:
    fields = "".join(f"\r\nFinal-Recipient: rfc822; u{n}@x.example\r\nAction: failed\r\n" for n in range(3_000))
    many = f"To: {PATH}\r\nContent-Type: message/delivery-status\r\n\r\n{fields}".encode()
    assert len(read_returned_mail(many).report.recipients) == 1_000
    long = report(
        f"{PATH}, " + ", ".join("a" * 42 + f"@x{n}" for n in range(2_000)),
        recipient="u" * 128 + "@" + "d." * 120 + "example",
        words="550 " + "w" * 100_000,
        message_id="m" * 2_000 + "@x",
    )
    mail = read_returned_mail(long)
    assert mail.report.recipients == ()
    assert mail.report.original_message_id is None
    assert len(mail.as_json()) < 10_000
    told = read_returned_mail(complaint("abuse@rgz.bj", returned_path=PATH, feedback="f" * 100_000))
    assert all(len(one.subtype or "") <= 100 for one in told.report.recipients)
    assert len(told.as_json()) < 10_000


def test_gravest_is_the_permanent_one_and_a_redacted_complaint_has_no_address() -> None:
    later = RecipientStatus(MailKind.BOUNCE, "a@x.example", "4.2.2")
    never = RecipientStatus(MailKind.BOUNCE, "b@x.example", "5.1.1")
    assert ReturnedMail((), ParsedReport(MailKind.BOUNCE, (later, never))).gravest == never
    assert ReturnedMail((), ParsedReport(MailKind.BOUNCE, (later,))).gravest == later
    redacted = ReturnedMail((), ParsedReport(MailKind.COMPLAINT)).gravest
    assert redacted is not None
    assert redacted.address == ""
    answer = RecipientStatus(MailKind.AUTO_REPLY, "a@x.example")
    assert ReturnedMail((), ParsedReport(MailKind.AUTO_REPLY, (answer,))).gravest is None
