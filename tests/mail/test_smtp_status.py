"""SMTP replies and status codes: parsing, and one classification for a session and for a bounce report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.outcome import OutcomeKind, Phase, judge
from service.feedback.bounce.returned_mail import read_returned_mail
from service.mail.smtp_status import (
    MAX_REPLY_LENGTH,
    Reply,
    classify,
    classify_reply,
    clean,
    find_reply,
    find_status,
    parse_status,
    provider_id,
    settle_status,
)
from tests.support.bounce_families import plain
from tests.support.returned_mails import report

BOUNCED, FAILED = OutcomeKind.BOUNCED, OutcomeKind.FAILED
DEFERRED, PAUSED = OutcomeKind.DEFERRED, OutcomeKind.PAUSED

#: Reply to RCPT, what a session makes of it, the subtype in both ways, and whether the recipient is suppressed.
REPLIES = [
    # The address, or its domain, does not exist (RFC 3463: X.1.1, X.1.2, X.1.3, X.1.6, X.2.1; RFC 7505: X.1.10).
    ("550 5.1.1 <u@there.example>: Recipient address rejected: User unknown", BOUNCED, "NoEmail", True),
    ("550 5.1.1 no", BOUNCED, "NoEmail", True),
    ("550 5.1.2 bad destination system", BOUNCED, "NoEmail", True),
    ("501 5.1.3 bad recipient address syntax", BOUNCED, "NoEmail", True),
    ("551 5.1.6 moved", BOUNCED, "NoEmail", True),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", BOUNCED, "NoEmail", True),
    ("550 5.2.1 The email account that you tried to reach is disabled.", BOUNCED, "NoEmail", True),
    ("550 no such user", BOUNCED, "NoEmail", True),
    ("550 No Such User Here", BOUNCED, "NoEmail", True),
    ("550 <u@there.example>: User unknown in local recipient table", BOUNCED, "NoEmail", True),
    ("550 account disabled", BOUNCED, "NoEmail", True),
    ("550 mailbox not found", BOUNCED, "NoEmail", True),
    ("550 invalid recipient", BOUNCED, "NoEmail", True),
    ("554 delivery error: dd This user doesn't have a yahoo.com account (u@there.example)", BOUNCED, "NoEmail", True),
    ("550 sorry, no mailbox here by that name. (#5.1.1)", BOUNCED, "NoEmail", True),
    ("550 5.0.0 User unknown", BOUNCED, "NoEmail", True),
    ("550 5.1.0 Unknown address error", BOUNCED, "NoEmail", True),
    # The code says no cause, and the words none either (RFC 5321, 4.2.3 has "mailbox unavailable" for any 550).
    ("550 no", BOUNCED, "General", False),
    ("550 5.0.0 rejected", BOUNCED, "General", False),
    ("550 mailbox unavailable", BOUNCED, "General", False),
    ("550 Requested action not taken: mailbox unavailable", BOUNCED, "General", False),
    ("550 5.1.0 Address rejected.", BOUNCED, "General", False),
    ("550 5.2.0 refused", BOUNCED, "General", False),
    ("550 5.1.4 ambiguous", BOUNCED, "General", False),
    ("550 5.2.4 mailing list expansion problem", BOUNCED, "General", False),
    # The mailbox exists and is full, or the message is too large (RFC 3463, X.2.2, X.2.3, X.3.4; RFC 1870, 6).
    ("550 mailbox is full", BOUNCED, "MailboxFull", False),
    ("552 5.2.2 over quota", BOUNCED, "MailboxFull", False),
    ("552 Mailbox quota exceeded", BOUNCED, "MailboxFull", False),
    ("552 5.2.3 no", FAILED, "MessageTooLarge", False),
    ("552 5.3.4 no", FAILED, "MessageTooLarge", False),
    ("552 too big", FAILED, "MessageTooLarge", False),
    ("550 message size exceeds the limit", FAILED, "MessageTooLarge", False),
    # The server, the network or its policy (RFC 3463: subjects 3, 4, 5 and 7).
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", BOUNCED, "General", False),
    ("550 5.4.1 no answer from host", BOUNCED, "General", False),
    ("554 5.4.4 Host or domain name not found", BOUNCED, "General", False),
    ("550 5.3.0 User unknown", BOUNCED, "NoEmail", True),
    ("550 5.5.0 Adresse destinataire invalide. Invalid recipient. LPN007_416", BOUNCED, "NoEmail", True),
    ("550 5.3.2 unknown user", BOUNCED, "General", False),
    ("550 5.5.2 unknown user", FAILED, "General", False),
    ("550 5.5.0 Requested action not taken: mailbox unavailable", FAILED, "General", False),
    ("550 5.7.1 unknown user", FAILED, "General", False),
    ("554 5.7.1 <u@there.example>: Recipient address rejected: Access denied", FAILED, "General", False),
    ("554 5.7.1 Message looks like spam", FAILED, "ContentRejected", False),
    ("550 5.6.1 media not supported", BOUNCED, "ContentRejected", False),
    ("550 5.2.0 Mail rejected as spam", BOUNCED, "ContentRejected", False),
    ("550 5.2.1 message blocked by policy", BOUNCED, "ContentRejected", False),
    # Our sender, whatever the code says of the recipient (RFC 3463: X.1.7, X.1.8).
    ("550 5.1.0 <me@rgz.bj>: Sender address rejected: User unknown in virtual mailbox table", FAILED, "General", False),
    ("550 Verification failed for <me@rgz.bj> No Such User Here Sender verify failed", FAILED, "General", False),
    ("550 5.1.8 <me@rgz.bj>: Sender address rejected: Domain not found", FAILED, "General", False),
    ("501 5.1.7 Bad sender address syntax", FAILED, "General", False),
    ("550 5.1.1 unknown sender", FAILED, "General", False),
    ("553 invalid sender: no such user", FAILED, "General", False),
    # Our path: relaying, login, names, block lists.
    ("550 relay not permitted", FAILED, "General", False),
    ("554 5.7.1 Relay access denied", FAILED, "General", False),
    ("550 5.1.2 relaying denied", FAILED, "General", False),
    ("550 Your account is disabled", FAILED, "General", False),
    ("550 Message rejected: your address is on a block list", FAILED, "General", False),
    ("550 5.2.1 Service unavailable; client host [192.0.2.9] blocked using zen.spamhaus.org", FAILED, "General", False),
    ("550 does not have a reverse DNS entry", FAILED, "General", False),
    # A rate, ours or the mailbox's (Gmail says the second with 5.2.1).
    ("550 5.4.5 Daily user sending quota exceeded", FAILED, "General", False),
    ("550 5.2.1 The user is receiving mail at a rate that prevents additional messages", FAILED, "General", False),
    # Nothing that is passing suppresses.
    ("450 4.1.1 User unknown", DEFERRED, "NoEmail", False),
    ("450 4.2.1 mailbox disabled", DEFERRED, "NoEmail", False),
    ("452 4.2.2 mailbox is full", DEFERRED, "MailboxFull", False),
    ("451 4.7.1 come again later", DEFERRED, "General", False),
    # A condition of the server, or of our account there: nothing is said of the message or of the recipient.
    ("454 Throttling failure: Daily message quota exceeded", PAUSED, "Undetermined", False),
    ("454 Throttling failure: Maximum sending rate exceeded.", PAUSED, "Undetermined", False),
    ("452 4.3.1 Insufficient system storage", PAUSED, "MailboxFull", False),
    ("452 Requested action not taken: insufficient system storage", PAUSED, "MailboxFull", False),
    ("451 4.3.2 System not accepting network messages", PAUSED, "General", False),
    ("450 4.7.1 Error: too many messages from your account", PAUSED, "Undetermined", False),
    ("451 4.3.0 Temporary message handling error", DEFERRED, "General", False),
    # The mailbox's own rate, and a passing refusal of our sender.
    ("450 4.2.1 The user is receiving mail at a rate that prevents more", DEFERRED, "Undetermined", False),
    ("450 4.1.8 <me@rgz.bj>: Sender address rejected: Domain not found", DEFERRED, "Undetermined", False),
    ("451 Sender verify failed, come again", DEFERRED, "Undetermined", False),
]


def _dsn(reply: Reply) -> bytes:
    """A report as Postfix writes it: its status has the class of the reply, and is x.0.0 where the reply has none."""
    status = reply.enhanced_code or f"{reply.code // 100}.0.0"
    return report("bounces@rgz.bj", status=status, words=f"host mx.there.example[192.0.2.1] said: {reply}")


def _words(reply: Reply) -> bytes:
    """A report in words, as qmail writes it."""
    return plain(f"<u@there.example>:\nRemote host said: {reply}\n")


@pytest.mark.parametrize(("words", "kind", "subtype", "suppresses"), REPLIES, ids=[words for words, *_ in REPLIES])
def test_smtp_reply_means_the_same_in_a_session_and_in_a_bounce_report(
    words: str, kind: OutcomeKind, subtype: str, suppresses: bool
) -> None:
    reply = Reply(int(words[:3]), words[4:])
    bounce_type = "permanent" if reply.code >= 500 else "temporary"

    outcome = judge(Phase.RCPT, reply, "relay.example")
    assert (outcome.kind, outcome.suppresses) == (kind, suppresses)
    assert outcome.bounce_subtype == (subtype if kind is BOUNCED else None)
    assert (outcome.kind in (BOUNCED, FAILED)) == (bounce_type == "permanent")

    for raw in (_dsn(reply), _words(reply)):
        [said] = read_returned_mail(raw).report.recipients
        assert (said.bounce_type, said.subtype, said.suppresses) == (bounce_type, subtype, suppresses)


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.DATA, Phase.END_OF_DATA])
@pytest.mark.parametrize(("words", "kind", "subtype", "suppresses"), REPLIES, ids=[words for words, *_ in REPLIES])
def test_smtp_reply_suppresses_in_no_other_step_than_it_would_at_rcpt(
    phase: Phase, words: str, kind: OutcomeKind, subtype: str, suppresses: bool
) -> None:
    outcome = judge(phase, Reply(int(words[:3]), words[4:]), "relay.example")
    assert outcome.suppresses == (suppresses and phase is not Phase.MAIL)
    assert outcome.kind in (DEFERRED, FAILED, PAUSED) or outcome.bounce_subtype == subtype


def test_smtp_refusal_of_the_mail_command_in_a_bounce_report_does_not_suppress() -> None:
    words = "host mx.there.example said: 550 5.1.1 User unknown (in reply to MAIL FROM command)"
    [said] = read_returned_mail(report("bounces@rgz.bj", status="5.1.1", words=words)).report.recipients
    assert (said.bounce_type, said.subtype, said.suppresses) == ("permanent", "General", False)


@pytest.mark.parametrize(
    ("field", "expected"),
    [("5.1.1", "5.1.1"), ("5. 1 .10 (no such user)", "5.1.10"), ("4.04.7", "4.4.7"), ("5", None), ("", None)],
)
def test_status_field_is_parsed_without_blanks_and_comments(field: str, expected: str | None) -> None:
    assert parse_status(field) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.0.0 Ok: queued as 4XyZ12abc", "4XyZ12abc"),
        ("Ok 0100018f2a3b4c5d-1a2b3c4d-000000", "0100018f2a3b4c5d-1a2b3c4d-000000"),
        ("OK id=1rZabc-0003Df-2K", "1rZabc-0003Df-2K"),
        ("2.0.0 41LEUWxx012345 Message accepted for delivery", "41LEUWxx012345"),
        ("2.0.0 OK  1708525830 d2e1a72fcca58-6e4 - gsmtp", "d2e1a72fcca58-6e4"),
        ("2.0.0 Ok", None),
        ("OK", None),
        ("Great success", None),
        ("", None),
    ],
)
def test_provider_id_is_found_in_the_reply_of_the_relay(text: str, expected: str | None) -> None:
    assert provider_id(Reply(250, text)) == expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.1.1 no such user", "5.1.1"),
        (550, "5.1.10 no such user", "5.1.10"),
        (550, "5.1.1", "5.1.1"),
        (550, "4.1.1 another class", None),
        (550, "5.1.1.1 an address", None),
        (550, "no such user 5.1.1", None),
        (250, "2.0.0 ok", "2.0.0"),
    ],
)
def test_enhanced_code_is_one_of_the_replys_own_class(code: int, text: str, expected: str | None) -> None:
    assert Reply(code, text).enhanced_code == expected


@pytest.mark.parametrize(
    ("text", "subtype"),
    [
        ("5.1.1 x", "NoEmail"),
        ("5.1.10 x", "NoEmail"),
        ("5.2.1 x", "NoEmail"),
        ("5.2.2 x", "MailboxFull"),
        ("x", "General"),
        ("No such user here", "NoEmail"),
        ("<a@b.example>: Recipient address rejected: User unknown in local recipient table", "NoEmail"),
        ("sorry, no mailbox here by that name", "NoEmail"),
        ("mailbox unavailable", "General"),
        ("Message rejected: your address is on a block list", "General"),
        ("5.7.1 unknown user", "General"),
    ],
)
def test_bounce_subtype_follows_the_enhanced_code(text: str, subtype: str) -> None:
    assert classify_reply(Reply(550, text)).subtype == subtype


@given(text=st.text(max_size=2_000))
def test_reply_text_is_cleaned_to_one_bounded_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= MAX_REPLY_LENGTH
    assert clean(cleaned) == cleaned


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
    assert classify(status, None, words).subtype == subtype
