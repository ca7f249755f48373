"""The meter of a rendering: what it may still take. Whatever touches many elements or characters is charged for it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2.utils import Namespace

#: A turn of a loop is a step; a step is as many units. Walking over one element of a list costs one unit.
_UNITS = 8
#: Characters that cost one unit.
_CHARACTERS = 32
#: Units after which the time is looked at again.
_LOOK = 64 * _UNITS
#: Printing a longer text is charged for.
LONG_TEXT = 1_000
#: A text so short costs less than to charge for it.
_SHORT = 256
#: Loops that are so short are charged at once; in longer ones, the time is looked at between turns.
_FEW_TURNS = 32


class LimitExceeded(Exception):
    """A rendering exceeded a limit, which the message names. `line` is that of the compiled text, if known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class LongText(str):
    """A long text that a template made. It is no plain `str`, so that printing it takes the path that is charged."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> str:
        """The text, marked if it is long; `Markup` is never printed without a charge."""
        return cls(text) if type(text) is str and len(text) > LONG_TEXT else text


class Captured(LongText):
    """The output of a macro or a block in plain text, whose marks of lines are printed as they are."""

    __slots__ = ()


class _Left:
    """What is left of one thread's rendering."""

    __slots__ = ("characters", "deadline", "next_look", "units")

    def __init__(self) -> None:
        self.units = 0
        self.next_look = 0
        self.characters = 0
        self.deadline: float | None = None


class _Thread(threading.local):
    def __init__(self) -> None:
        self.left = _Left()


class Meter:
    """The steps, characters and seconds that the rendering in each thread may still take.

    Before `start`, nothing is left. `clock` tells seconds; the deadline counts from the first look at it.
    """

    def __init__(self, max_steps: int, max_characters: int, max_seconds: float, clock: Callable[[], float]) -> None:
        self._max_steps = max_steps
        self._max_characters = max_characters
        self._max_seconds = max_seconds
        self._clock = clock
        self._thread = _Thread()

    def start(self) -> None:
        """Begin a rendering."""
        left = self._thread.left
        left.units = units = self._max_steps * _UNITS
        left.next_look = units - _LOOK
        left.characters = self._max_characters
        left.deadline = None

    def charge(self, steps: int) -> None:
        """Charge for turns of loops and for calls. Raises LimitExceeded."""
        self.spend(steps * _UNITS)

    def spend(self, units: int) -> None:
        """Charge units. Raises LimitExceeded."""
        left = self._thread.left
        left.units -= units
        if left.units < left.next_look:
            self.look()

    def spend_text(self, characters: int) -> None:
        """Charge for characters that are read or written. Raises LimitExceeded."""
        if characters > _SHORT:
            self.spend(characters // _CHARACTERS)

    def look(self) -> None:
        """Look at what is left, and at the time. Raises LimitExceeded."""
        left = self._thread.left
        if left.units < 0:
            raise LimitExceeded(f"the rendering takes more than {self._max_steps} steps")
        now = self._clock()
        if left.deadline is None:
            left.deadline = now + self._max_seconds
        if now > left.deadline:
            raise LimitExceeded(f"the rendering takes longer than {self._max_seconds:g} s")
        left.next_look = left.units - _LOOK

    def keep(self, characters: int) -> None:
        """Charge for text that is kept before it is printed: captured, or long. Raises LimitExceeded."""
        left = self._thread.left
        left.characters -= characters
        if left.characters < 0:
            raise LimitExceeded(f"the rendering keeps more than {self._max_characters} characters of text")

    def weighed(self, value: Any) -> Any:
        """Charge for a walk over all of a value, shared parts each time, and return it. Raises LimitExceeded."""
        kind = type(value)
        if kind is str:
            self.spend_text(len(value))
        elif kind is not int and kind is not float and kind is not bool and value is not None:
            self._walk(value)
        return value

    def _walk(self, value: Any) -> None:
        stack = [value]
        units = 0
        while stack:
            one = stack.pop()
            units += 1
            if isinstance(one, str):
                units += len(one) // _CHARACTERS
            elif isinstance(one, (list, tuple, set, frozenset)):
                units += len(one)
                stack.extend(one)
            elif isinstance(one, dict):
                units += 2 * len(one)
                stack.extend(one)
                stack.extend(one.values())
            elif isinstance(one, Namespace):
                stack.append(object.__getattribute__(one, "_Namespace__attrs"))
            elif isinstance(one, range):
                units += len(one)
            if units > _LOOK:
                self.spend(units)
                units = 0
        self.spend(units)

    def turns(self, iterable: Any) -> Any:
        """Charge for the turns of a loop, at once if their number is known. Raises LimitExceeded."""
        if isinstance(iterable, (list, tuple, dict, str, range)):
            turns = len(iterable)
            self.spend(turns * _UNITS)
            return iterable if turns <= _FEW_TURNS else _Turns(iterable, self)
        return self._counted(iterable, _UNITS)

    def passed(self, iterable: Any) -> Any:
        """Charge for a lazy walk over the elements of a value, at once if their number is known."""
        if isinstance(iterable, (list, tuple, dict, str, range)):
            self.spend(len(iterable))
            return iterable
        return self._counted(iterable, 1) if isinstance(iterable, Iterator) else iterable

    def _counted(self, iterable: Iterable[Any], units: int) -> Iterator[Any]:
        for one in iterable:
            self.spend(units)
            yield one


class _Turns:
    """The elements of a long loop, already charged for; the time is looked at between them."""

    def __init__(self, elements: Any, meter: Meter) -> None:
        self._elements = elements
        self._meter = meter

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[Any]:
        for index, one in enumerate(self._elements):
            if not index % _FEW_TURNS:
                self._meter.look()
            yield one
