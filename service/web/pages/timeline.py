"""Events -> what happened, in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.models import Event, EventType
from service.web.pages.i18n import Language

#: How the sentences of `delivery.outcome` and `settle` name the server.
_SERVER = re.compile(r"\b(?:by|at) ([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d+)?)(?=:| at |\.$|\. |$)")
_LOOKS = {
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
    """One event: a sentence, when, what its source said more, and whether that is good."""

    words: str
    at: datetime
    more: str | None
    look: str
    source: str


def lines(events: Sequence[Event], language: Language) -> list[TimelineEntry]:
    """The timeline in the language of the page; what servers and sources said stays in their own words."""
    return [_line(event, language) for event in events]


def _line(event: Event, language: Language) -> TimelineEntry:
    found = _SERVER.search(event.detail or "")
    server, reply = found[1] if found else None, event.smtp_reply
    time, key, more = language.time(event.at), f"event.{event.type}", event.detail
    if event.type is EventType.SENT and server and reply:
        words, more = language.say("timeline.sent_by", server=server, time=time, reply=reply), None
    elif event.type is EventType.ATTEMPTED and server:
        words, more = language.say("timeline.tried_at", server=server, time=time), None
    elif event.type is EventType.DEFERRED and server and reply:
        words = language.say("timeline.deferred_by", server=server, time=time, reply=reply)
    else:
        words = language.say("timeline.at", what=language.say(key), time=time)
    return TimelineEntry(words, event.at, more, _LOOKS.get(event.type, "plain"), event.source)
