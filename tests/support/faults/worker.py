"""Two clocks that a test controls, and a transport that counts the turns of its dispatcher."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.bootstrap import Services
from tests.support.running import eventually
from tests.support.scripted import NOW, ScriptedTransport


@dataclass
class TwoClocks:
    """The wall clock, which may be set, and the boot clock, which only advances; `passes` advances both."""

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
        """Set the wall clock wrong by this much."""
        self.set_by = timedelta(**by)


@dataclass
class SteppedTransport(ScriptedTransport):
    """A transport that counts the turns of its dispatcher, which asks for the pause once a turn."""

    turns: int = 0

    def paused_for_s(self) -> float:
        self.turns += 1
        return super().paused_for_s()

    def wait_for_a_turn(self) -> None:
        """Wait until the dispatcher has finished a whole turn."""
        before = self.turns
        eventually(lambda: self.turns, lambda turns: turns >= before + 2, within_s=60)


#: Makes another worker over the same database: its services and its transport.
NewWorker = Callable[[], tuple[Services, SteppedTransport]]
