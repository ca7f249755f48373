"""Figures of the mails of a deployment: sent, bounced, complaints, refused requests."""

from service.store import template_stats
from service.store.database import Reader
from service.store.template_stats import COUNTS, RevisionFigures


def by_template(reader: Reader, deployment_id: str) -> list[RevisionFigures]:
    """What a deployment's templates sent and refused, sorted by key; templates that did neither are not there.

    A resend counts with the deployment of the original. Tests, and sends that pinned another revision than the live
    one, are left out, and SLAs are not counted.
    """
    rows = reader.read(
        f"SELECT email_messages.template_key, email_messages.template_revision AS revision, {COUNTS}"
        " FROM sends JOIN email_messages ON email_messages.send_id = sends.id"
        " WHERE sends.deployment_id = :id AND sends.is_test = :is_test"
        " GROUP BY email_messages.template_key, email_messages.template_revision",
        {"id": deployment_id, "is_test": False},
    )
    refused = reader.read(
        "SELECT template_key, revision, SUM(refused) AS refused FROM template_refusals WHERE deployment_id = :id"
        " GROUP BY template_key, revision",
        {"id": deployment_id},
    )
    return template_stats.together(rows, refused)
