"""A clock that a test may set, and a transport that knows its worker's turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.bootstrap import Services
from tests.support.running import eventually
from tests.support.scripted import NOW, ScriptedTransport


@dataclass
class TwoClocks:
    """The wall's, which may be set, and the machine's own, which only goes on; `passes` lets time go by for both."""

    began_s: float = field(default_factory=time.monotonic)
    passed_s: float = 0.0
    set_by: timedelta = timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self.boot()) + self.set_by

    def boot(self) -> float:
        return time.monotonic() - self.began_s + self.passed_s

    def passes(self, seconds: float) -> None:
        self.passed_s += seconds

    def set(self, **by: float) -> None:
        """As if somebody had set the clock, `by` so much from what is right."""
        self.set_by = timedelta(**by)


@dataclass
class SteppedTransport(ScriptedTransport):
    """One that knows how often its worker came by: once in each turn of a drain."""

    turns: int = 0

    def paused_for_s(self) -> float:
        self.turns += 1
        return super().paused_for_s()

    def wait_for_a_turn(self) -> None:
        """Until a whole turn of its worker has passed, from beginning to end."""
        before = self.turns
        eventually(lambda: self.turns, lambda turns: turns >= before + 2, within_s=60)


#: Another worker over the same database: its services and its transport.
NewWorker = Callable[[], tuple[Services, SteppedTransport]]
