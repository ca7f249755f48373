"""VERB: a mail that came back -> what it says, for people and scripts who look at one by hand. Changes nothing."""

from typing import TypedDict

from service.feedback.bounce.parse import parse_bounce


class Failure(TypedDict):
    """What a mail says of one recipient; `bounce_type` is the class of `status`."""

    address: str
    bounce_type: str | None
    bounce_subtype: str | None
    status: str | None
    diagnostic: str | None


class Examined(TypedDict):
    """What a mail says; `kind` is bounce, delayed, complaint, delivered, auto_reply or none."""

    kind: str
    recipients: list[Failure]
    original_message_id: str | None


def examine_bounce(raw: bytes) -> Examined:
    """What these bytes of a mail say; whatever they are, it never raises."""
    reading = parse_bounce(raw)
    return {
        "kind": reading.kind.value,
        "recipients": [
            {
                "address": one.address,
                "bounce_type": one.bounce_type,
                "bounce_subtype": one.subtype,
                "status": one.status,
                "diagnostic": one.diagnostic,
            }
            for one in reading.recipients
        ],
        "original_message_id": reading.original_message_id,
    }
