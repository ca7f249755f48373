"""What most tests send, and as whom: variables of three of our templates, a small PDF, the admin."""

from base64 import b64encode

from service.models import Caller, Scope

#: The telephone number of the installation in snapshots.
PHONE = "+229 01 23 45 67 89"

ADMIN = Caller("admin", "admin", frozenset({Scope.ADMIN}))

WELCOME = {"reseller_name": "Tech", "validation_link": "https://rgz.bj", "estimated_duration": "7 jours"}
#: WELCOME as the command line takes it.
WELCOME_OPTIONS = [part for name, value in WELCOME.items() for part in ("--set", f"{name}={value}")]
INVOICE = {
    "reseller_name": "Tech Connect SA",
    "month": "février",
    "year": "2026",
    "amount_fcfa": 450000,
    "link_portal": "https://rgz.bj/i",
    "invoice_number": "INV-1",
}
INCIDENT = {
    "incident_number": "INC-1",
    "title": "Coupure",
    "description": "Fibre coupée",
    "priority": "P0",
    "affected_sites": 45,
    "detected_at": "2026-02-21T14:30:00Z",
    "status_link": "https://status.rgz.bj",
}

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def pdf_attachment(filename: str = "facture février.pdf") -> dict[str, str]:
    """PDF as the attachment of a request."""
    return {"filename": filename, "content_type": "application/pdf", "data_base64": b64encode(PDF).decode()}
