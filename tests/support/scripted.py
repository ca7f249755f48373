"""A clock that a test moves and a transport whose outcomes a test scripts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from service.delivery.outcome import Outcome, OutcomeKind, Phase
from service.mail.mime import Wire

NOW = datetime(2026, 2, 21, 14, 30, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def boottime(self) -> float:
        """Seconds since boot; both clocks move together here."""
        return (self.now - NOW).total_seconds() + 1_000.0

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class ScriptedTransport:
    """A transport that returns scripted outcomes in order, the last one for ever, and records mails in `sent`."""

    outcomes: list[Outcome] = field(default_factory=list)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    paused_s: float = 0.0
    before_conversation: Callable[[], None] | None = None
    before_answer: Callable[[], None] | None = None

    def deliver(
        self,
        sender: str,
        recipient: str,
        wire: Wire,
        *,
        before_mail: Callable[[], bool] | None = None,
        before_end_of_data: Callable[[], None] | None = None,
    ) -> Outcome:
        if self.before_conversation is not None:
            self.before_conversation()
        if before_mail is not None and not before_mail():
            return outcome(OutcomeKind.PAUSED, phase=Phase.LEASE, tried=False)
        if before_end_of_data is not None:
            before_end_of_data()
        self.sent.append((sender, recipient, wire.encode("8bit")))
        if self.before_answer is not None:
            self.before_answer()
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    def paused_for_s(self) -> float:
        return self.paused_s

    def abort(self) -> None:
        """Do nothing: there is no connection to break."""

    def close(self) -> None:
        """Do nothing: there is no connection to close."""


def outcome(kind: OutcomeKind, *, phase: Phase = Phase.END_OF_DATA, tried: bool = True, **more: Any) -> Outcome:
    """An outcome as a relay's answer leads to."""
    answered = kind in (OutcomeKind.SENT, OutcomeKind.DEFERRED, OutcomeKind.BOUNCED, OutcomeKind.FAILED)
    return Outcome(
        kind=kind, phase=phase, server="mail.test:25", answered=answered, detail=f"It was {kind}.", tried=tried, **more
    )
