"""The six example calls of the functional specification, as they are written there."""

import email
import email.policy
import json
import subprocess
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfWriter

from tests.support.running import ADMIN_TOKEN, Running, eventually


def pdf() -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    made = BytesIO()
    writer.write(made)
    return made.getvalue()


INVOICE = {
    "to": "reseller@techconnect.bj",
    "template_key": "billing_invoice_monthly",
    "variables": {
        "reseller_name": "Tech Connect SA",
        "month": "février",
        "year": "2026",
        "amount_fcfa": "450000",
        "link_portal": "https://admin-rgz.duckdns.org/invoices/latest",
        "invoice_number": "INV-2026-0001",
    },
    "attachments": [{"filename": "invoice_2026-02.pdf", "content_type": "application/pdf", "data_base64": ""}],
}
INCIDENT = {
    "to": "noc@rgz.bj,reseller@techconnect.bj",
    "template_key": "incident_alert_critical",
    "variables": {
        "incident_number": "INC-2026-000847",
        "title": "Fiber cut central",
        "description": "Central BGP flap, 45 sites offline",
        "priority": "P0",
        "affected_sites": 45,
        "detected_at": "2026-02-21T14:30:00Z",
        "status_link": "https://status.rgz.bj",
    },
}
WELCOME = {
    "to": "john@techconnect.bj",
    "template_key": "onboarding_welcome",
    "variables": {
        "reseller_name": "Tech Connect SA",
        "validation_link": "https://admin-rgz.duckdns.org",
        "estimated_duration": "7-12 jours",
    },
}
TRIAL = {
    "to": "test@rgz.bj",
    "variables": {
        "reseller_name": "Test Company",
        "month": "février",
        "year": "2026",
        "amount_fcfa": "450000",
        "link_portal": "https://admin-rgz.duckdns.org",
        "invoice_number": "TEST-001",
    },
}
ADMIN = ["-H", f"Authorization: Bearer {ADMIN_TOKEN}"]


def curl(*arguments: str) -> tuple[int, dict[str, Any]]:
    """What a real curl gets; `-d` alone calls the body a form, as in the specification."""
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *arguments], capture_output=True, text=True, check=True
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_spec_calls_send_four_mails_that_are_found_again(service: Running) -> None:
    document = pdf()
    invoice = json.loads(json.dumps(INVOICE))
    invoice["attachments"][0]["data_base64"] = b64encode(document).decode()
    base = f"{service.url}/api/v1/email"

    status, first = curl(
        "-X", "POST", f"{base}/send", "-H", "Content-Type: application/json", "-d", json.dumps(invoice)
    )
    assert (status, first["messages"][0]["status"]) == (201, "queued")
    status, second = curl("-X", "POST", f"{base}/send", "-d", json.dumps(INCIDENT))
    assert status == 201
    assert [message["to"] for message in second["messages"]] == ["noc@rgz.bj", "reseller@techconnect.bj"]
    status, _ = curl("-X", "POST", f"{base}/send", "-d", json.dumps(WELCOME))
    assert status == 201

    addresses = ("reseller@techconnect.bj", "noc@rgz.bj", "john@techconnect.bj")
    found = eventually(
        lambda: [item for to in addresses for item in service.mails(to, wait_s=0)], lambda mails: len(mails) == 4
    )
    subjects = {item["subject"]: item for item in found}
    assert set(subjects) == {
        "Facture RGZ — février 2026",
        "⚠️ ALERTE CRITIQUE RGZ — INC-2026-000847",
        "Bienvenue sur RGZ Access!",
    }

    raw = service.raw(subjects["Facture RGZ — février 2026"]["id"])
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "invoice_2026-02.pdf"
    assert attached.get_content() == document

    url = f"{base}/messages?to=reseller@techconnect.bj"
    eventually(lambda: curl(url, *ADMIN)[1], lambda found: all(item["status"] == "sent" for item in found["items"]))
    status, listed = curl(url, *ADMIN)
    assert (status, listed["total"]) == (200, 2)
    assert all(item["sent_at"] >= item["created_at"] for item in listed["items"])
    assert curl(url)[0] == 401


def test_spec_call_lists_templates(service: Running) -> None:
    status, listed = curl(f"{service.url}/api/v1/email/templates")
    assert status == 200
    assert listed["total"] == len(listed["items"]) == 10
    assert {"key", "subject", "category", "version"} <= set(listed["items"][0])


def test_spec_call_tries_a_template_and_sends_it_without_its_pdf(service: Running) -> None:
    url = f"{service.url}/api/v1/email/templates/billing_invoice_monthly/test"
    status, tried = curl("-X", "POST", url, *ADMIN, "-d", json.dumps(TRIAL))
    assert (status, tried["subject"]) == (200, "Facture RGZ — février 2026")
    assert "TEST-001" in tried["html"]
    assert tried["size_bytes"] == len(tried["html"].encode()) + len(tried["text"].encode())
    message = service.until(tried["message"]["id"], "sent")
    assert message["is_test"] is True


@pytest.mark.parametrize(("call", "pointer"), [(INVOICE, "/attachments/0/data_base64")])
def test_spec_call_with_the_elided_pdf_is_refused_at_its_place(
    service: Running, call: dict[str, Any], pointer: str
) -> None:
    elided = json.loads(json.dumps(call))
    elided["attachments"][0]["data_base64"] = "JVBERi0xLjQKJeLjz9MNCi..."
    status, problem = curl("-X", "POST", f"{service.url}/api/v1/email/send", "-d", json.dumps(elided))
    assert status == 422
    assert pointer in [error["pointer"] for error in problem["errors"]]
