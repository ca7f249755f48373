"""Inspection of a mail: attached mails are files with their own names, whole."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from service.mail import inspection


def mail(subject: str = "Réclamation") -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["Subject"] = subject
    made.set_content("Bonjour")
    return made


@pytest.mark.parametrize(
    ("filename", "expected"),
    [("plainte.eml", "plainte.eml"), ("plainte n° 1.eml", "plainte n° 1.eml"), (None, "0.eml")],
)
def test_inspection_shows_an_attached_mail_as_one_file_with_its_name(filename: str | None, expected: str) -> None:
    attached = mail()
    attached.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="inside.pdf")
    outer = mail("Voir pièce jointe")
    outer.add_attachment(attached, filename=filename)
    outer.add_attachment(b"a,b", maintype="text", subtype="csv", filename="beside.csv")
    raw = outer.as_bytes()
    inspected = inspection.inspect(raw)
    assert [(part.filename, part.content_type) for part in inspected.parts] == [
        (expected, "message/rfc822"),
        ("beside.csv", "text/csv"),
    ]
    assert inspected.text is not None and inspected.text.strip() == "Bonjour"
    file, data = inspection.file(raw, 0) or pytest.fail("the attached mail is not there")
    assert file.size_bytes == len(data)
    inner = message_from_bytes(data, policy=SMTP)
    assert inner["subject"] == "Réclamation"
    assert [part.get_filename() for part in inner.walk()] == [None, None, "inside.pdf"]


def test_inspection_shows_the_parts_of_a_bounce_report() -> None:
    raw = (
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nIt bounced.\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nAction: failed\r\n\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: Facture\r\n\r\nBonjour\r\n--b--\r\n"
    )
    assert [part.filename for part in inspection.inspect(raw).parts] == ["0.delivery-status", "1.eml"]
    _, status = inspection.file(raw, 0) or pytest.fail("the status is not there")
    assert b"Reporting-MTA: dns; mx" in status and b"Action: failed" in status
