"""The timeline of a message: its events as sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.models import Event, EventType
from service.web.pages.i18n import Language

#: The server in the details that `delivery.outcome` and `delivery.completer` write.
_SERVER = re.compile(r"\b(?:by|at) ([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d+)?)(?=:| at |\.$|\. |$)")
_TONES = {
    EventType.SENT: "good",
    EventType.DELIVERED: "good",
    EventType.BOUNCED: "bad",
    EventType.COMPLAINT: "bad",
    EventType.FAILED: "bad",
    EventType.DEFERRED: "warn",
    EventType.DELAYED: "warn",
    EventType.SUPPRESSED: "warn",
    EventType.RATE_LIMITED: "warn",
    EventType.AMBIGUOUS: "warn",
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event: a sentence, its time, the source's own detail, and a tone (good, bad, warn or plain) for its mark."""

    text: str
    at: datetime
    detail: str | None
    tone: str
    source: str


def lines(events: Sequence[Event], language: Language) -> list[TimelineEntry]:
    """Return the timeline in the language of the page; details of servers and sources stay as they are."""
    return [_line(event, language) for event in events]


def _line(event: Event, language: Language) -> TimelineEntry:
    found = _SERVER.search(event.detail or "")
    server, reply = found[1] if found else None, event.smtp_reply
    time, key, detail = language.time(event.at), f"event.{event.type}", event.detail
    if event.type is EventType.SENT and server and reply:
        text, detail = language.say("timeline.sent_by", server=server, time=time, reply=reply), None
    elif event.type is EventType.ATTEMPTED and server:
        text, detail = language.say("timeline.tried_at", server=server, time=time), None
    elif event.type is EventType.DEFERRED and server and reply:
        text = language.say("timeline.deferred_by", server=server, time=time, reply=reply)
    else:
        text = language.say("timeline.at", what=language.say(key), time=time)
    return TimelineEntry(text, event.at, detail, _TONES.get(event.type, "plain"), event.source)
