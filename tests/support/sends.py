"""Send our templates to a service: through its API, or inside the process."""

from typing import Any

from service.bootstrap import Services
from service.models.requests import SendRequest
from tests.support.running import Running
from tests.support.samples import ADMIN, INCIDENT, INVOICE, pdf_attachment


def send_invoice(service: Running, to: str) -> dict[str, Any]:
    """Send an invoice with a PDF through the API, and return the answer."""
    answer = service.send("billing_invoice_monthly", to, INVOICE, attachments=[pdf_attachment()])
    assert answer.status_code == 201, answer.text
    accepted: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/email/messages/{accepted['messages'][0]['id']}"
    return accepted


def accept_incident(services: Services) -> str:
    """Accept an incident alert inside the process, to the NOC alone, and return the id of its only message."""
    request = SendRequest(to="noc@rgz.bj", template_key="incident_alert_critical", variables=INCIDENT)
    [message] = services.sending.acceptor.send(request, ADMIN).messages
    return message.id
