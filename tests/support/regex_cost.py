"""Tell from a regular expression whether some input costs more than linear steps, without running it.

Python's engine backtracks: where it fails, it has tried each way in which the text could have been read. Their number
grows faster than the text if, and only if, the expression's automaton has two states p and q and a word w that leads
from p to p, from p to q and from q to q (Weber and Seidl, "On the degree of ambiguity of finite automata", 1991): a run
of w is then divided between p and q at each place. A search adds a state that skips any text before the match.

Where the match may end at q nothing fails, and nothing is tried twice. A repetition with an upper bound counts as two
turns, as it multiplies the cost by a constant; a look-around of one character is exact, and longer ones are taken as
always true, so that an expression may be refused that is linear, and none is let through that is not.
"""

import importlib
import re
from collections import deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, Literal

#: The parser is the engine's own; it has no public name since `sre_parse` is deprecated.
_PARSER = importlib.import_module("re._parser")
Mode = Literal["search", "match", "fullmatch"]
#: Is it true between these two characters? None is an end of the text.
Condition = Callable[[str | None, str | None], bool]
Set = Callable[[str], bool]

_TURNS = 2
#: Characters among which those of an expression are told apart; its own are added.
_UNIVERSE = [chr(number) for number in range(128)] + list("\x85\xa0éßſKİ\u2028中😀")


@dataclass(frozen=True)
class Costly:
    """A word of which a run costs more than linear steps, and how: `exponential` or `quadratic` (or worse)."""

    growth: Literal["exponential", "quadratic"]
    word: str


@dataclass
class _State:
    """Reads one character; `empty` leads on without reading, under conditions."""

    reads: Set | None = None
    then: int = -1
    empty: list[tuple[int, Condition | None]] = field(default_factory=list)
    atoms: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Run:
    """A way through the automaton from one state to another within some."""

    start: int
    goal: int
    within: frozenset[int]


def cost_of(pattern: str | bytes, flags: int = 0, mode: Mode = "search") -> Costly | None:
    """Return a word that the expression is slow on, or None where it is linear on every text."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    tree = _PARSER.parse(text, flags)
    return _Automaton(tree, tree.state.flags | (re.ASCII if isinstance(pattern, bytes) else 0), mode).costly()


class _Automaton:
    def __init__(self, tree: Any, flags: int, mode: Mode) -> None:
        self._states: list[_State] = []
        self._letters = set(_UNIVERSE)
        self._atoms: frozenset[int] = frozenset()
        self._mode = mode
        self._known: dict[tuple[int, str, int], dict[str, list[int]]] = {}
        begin = self._new()
        self._end = self._build(tree, begin, flags)
        if mode == "search":
            skip = self._new()
            self._states[skip].reads, self._states[skip].then = lambda _: True, self._new()
            self._states[self._states[skip].then].empty = [(skip, None), (begin, None)]

    # Building.

    def _new(self) -> int:
        self._states.append(_State(atoms=self._atoms))
        return len(self._states) - 1

    def _link(self, start: int, end: int, condition: Condition | None = None) -> None:
        self._states[start].empty.append((end, condition))

    def _build(self, tree: Any, start: int, flags: int) -> int:
        for operation, value in tree:
            start = self._node(str(operation), value, start, flags)
        return start

    def _node(self, operation: str, value: Any, start: int, flags: int) -> int:
        if operation in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "GROUPREF"):
            return self._letter(self._set(operation, value, flags), start)
        if operation == "BRANCH":
            return self._branches(value[1], start, flags)
        if operation == "SUBPATTERN":
            return self._build(value[3], start, (flags | value[1]) & ~value[2])
        if operation == "ATOMIC_GROUP":
            return self._atomic(lambda begin: self._build(value, begin, flags), start)
        if operation == "POSSESSIVE_REPEAT":
            return self._atomic(lambda begin: self._repeat(value, begin, flags), start)
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(value, start, flags)
        if operation == "GROUPREF_EXISTS":
            return self._branches([branch for branch in value[1:] if branch is not None] + [[]], start, flags)
        end = self._new()
        self._link(start, end, self._condition(operation, value, flags))
        return end

    def _letter(self, reads: Set, start: int) -> int:
        letter, end = self._new(), self._new()
        self._states[letter].reads, self._states[letter].then = reads, end
        self._link(start, letter)
        return end

    def _branches(self, branches: Any, start: int, flags: int) -> int:
        end = self._new()
        for branch in branches:
            begin = self._new()
            self._link(start, begin)
            self._link(self._build(branch, begin, flags), end)
        return end

    def _atomic(self, build: Callable[[int], int], start: int) -> int:
        before = self._atoms
        self._atoms = before | {len(self._states)}
        begin = self._new()
        self._link(start, begin)
        inner = build(begin)
        self._atoms = before
        end = self._new()
        self._link(inner, end)
        return end

    def _repeat(self, value: Any, start: int, flags: int) -> int:
        least, most, body = value
        for _ in range(min(int(least), _TURNS)):
            start = self._build(body, start, flags)
        end = self._new()
        if str(most) == "MAXREPEAT":
            begin = self._new()
            self._link(start, begin)
            self._link(begin, end)
            again = self._build(body, begin, flags)
            self._link(again, begin)
            return end
        for _ in range(min(int(most) - int(least), _TURNS)):
            self._link(start, end)
            start = self._build(body, start, flags)
        self._link(start, end)
        return end

    def _set(self, operation: str, value: Any, flags: int) -> Set:
        if operation == "GROUPREF":
            return lambda _: True
        if operation == "ANY":
            return (lambda _: True) if flags & re.DOTALL else (lambda letter: letter != "\n")
        if operation == "IN":
            return _any_case(self._class(value, flags), flags)
        self._note(value)
        equals = _any_case(lambda letter: ord(letter) == value, flags)
        return equals if operation == "LITERAL" else lambda letter: not equals(letter)

    def _class(self, items: Any, flags: int) -> Set:
        tests: list[Set] = []
        negated = False
        for operation, value in items:
            name = str(operation)
            if name == "NEGATE":
                negated = True
            elif name == "LITERAL":
                self._note(value)
                tests.append(lambda letter, number=value: ord(letter) == number)  # type: ignore[misc]
            elif name == "RANGE":
                self._note(*value)
                tests.append(lambda letter, ends=value: ends[0] <= ord(letter) <= ends[1])  # type: ignore[misc]
            else:
                tests.append(_category(str(value), flags))
        if negated:
            return lambda letter: not any(_any_case(test, flags)(letter) for test in tests)
        return lambda letter: any(test(letter) for test in tests)

    def _note(self, *numbers: int) -> None:
        """Add characters at a set's borders to those that are told apart."""
        self._letters.update(
            chr(near) for number in numbers for near in (number - 1, number, number + 1) if 0 <= near < 0x110000
        )

    def _condition(self, operation: str, value: Any, flags: int) -> Condition:
        if operation == "AT":
            return _place(str(value), flags)
        direction, tree = value
        if len(tree) == 1 and str(tree[0][0]) in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            reads, wanted = self._set(str(tree[0][0]), tree[0][1], flags), operation == "ASSERT"
            if direction < 0:
                return lambda last, _: (last is not None and reads(last)) == wanted
            return lambda _, following: (following is not None and reads(following)) == wanted
        return lambda _last, _following: True

    # Judging.

    @cached_property
    def _alphabet(self) -> list[str]:
        """One character of each kind that the expression tells apart."""
        sets = [state.reads for state in self._states if state.reads is not None]
        kinds: dict[tuple[bool, ...], str] = {}
        for letter in sorted(self._letters):
            kind = (*(reads(letter) for reads in sets), letter == "\n", _is_word(letter))
            kinds.setdefault(kind, letter)
        return list(kinds.values())

    @cached_property
    def _read_by(self) -> dict[int, frozenset[str]]:
        """For each state that reads: the characters that it does."""
        return {
            n: frozenset(letter for letter in self._alphabet if state.reads(letter))
            for n, state in enumerate(self._states)
            if state.reads
        }

    @cached_property
    def _ways(self) -> dict[int, list[tuple[int, list[Condition]]]]:
        """For each state that reads: those that may read next, once for each way there with its conditions."""
        return {n: list(self._ways_from(self._states[n].then)) for n in self._read_by}

    def _ways_from(self, start: int) -> Iterator[tuple[int, list[Condition]]]:
        stack: list[tuple[int, list[Condition], frozenset[int]]] = [(start, [], frozenset({start}))]
        while stack:
            place, conditions, seen = stack.pop()
            if self._states[place].reads or place == self._end:
                yield place, conditions
            for following, condition in self._states[place].empty:
                if following not in seen:
                    stack.append((following, [*conditions, condition] if condition else conditions, seen | {following}))

    @cached_property
    def _reach(self) -> dict[int, set[int]]:
        """For each state that reads: those that may read at any time after it."""
        after = {state: {following for following, _ in ways} - {self._end} for state, ways in self._ways.items()}
        reach: dict[int, set[int]] = {}
        for state, first in after.items():
            reach[state] = set()
            stack = list(first)
            while stack:
                if (place := stack.pop()) not in reach[state]:
                    reach[state].add(place)
                    stack += after[place]
        return reach

    @cached_property
    def _knots(self) -> dict[int, frozenset[int]]:
        """For each state that can read again: all states between."""
        found = {
            state: frozenset(one for one in seen if state in self._reach[one])
            for state, seen in self._reach.items()
            if state in seen
        }
        same = {knot: knot for knot in found.values()}
        return {state: same[knot] for state, knot in found.items()}

    def _may_end(self, state: int) -> bool:
        """True where the match may end behind this state, whatever follows."""
        return self._mode != "fullmatch" and any(
            place == self._end and not conditions for place, conditions in self._ways[state]
        )

    def _following(self, state: int, last: str, within: Container[int]) -> dict[str, list[int]]:
        """The states that may read behind this one, by the character, among those wanted; a state once for each way."""
        key = (state, last, id(within))
        if key not in self._known:
            found: dict[str, list[int]] = {}
            for following, conditions in self._ways[state]:
                if following in within:
                    for letter in self._read_by[following]:
                        if all(is_true(last, letter) for is_true in conditions):
                            found.setdefault(letter, []).append(following)
            self._known[key] = found
        return self._known[key]

    def costly(self) -> Costly | None:
        knots = self._knots
        for p, knot in knots.items():
            if not self._may_end(p) and (word := self._doubled(p, knot)):
                return Costly("exponential", word)
        for q, knot in knots.items():
            if self._may_end(q):
                continue
            before = frozenset(state for state, reach in self._reach.items() if q in reach) | {q}
            self._known.clear()
            for p in knots:
                if p == q or p not in before or self._states[p].atoms - self._states[q].atoms:
                    continue  # what an atomic group has read is not divided anew
                if word := self._divided(_Run(p, p, knots[p]), _Run(p, q, before), _Run(q, q, knot)):
                    return Costly("quadratic", word)
        return None

    def _doubled(self, p: int, knot: frozenset[int]) -> str:
        """Return a word that leads from p to p in two ways, "" without one."""
        for first in self._read_by[p]:
            queue = deque([((p, p, False, first), "")])
            seen = {(p, p, False, first)}
            while queue:
                (one, other, is_split, last), word = queue.popleft()
                others = self._following(other, last, knot)
                for letter, ones in self._following(one, last, knot).items():
                    for a, b in ((a, b) for a in ones for b in others.get(letter, ())):
                        twice = one == other and a == b and ones.count(a) > 1
                        now = (a, b, is_split or a != b or twice, letter)
                        if now == (p, p, True, first):
                            return word + letter
                        if now not in seen:
                            seen.add(now)
                            queue.append((now, word + letter))
        return ""

    def _divided(self, p: _Run, between: _Run, q: _Run) -> str:
        """Return a word on which all three runs come to their ends, "" without one; two are tried first, as cheaper."""
        return self._common(p, q) and self._common(p, between, q)

    def _common(self, *runs: _Run) -> str:
        goals = tuple(run.goal for run in runs)
        for first in frozenset.intersection(*(self._read_by[run.start] for run in runs)):
            begin = (tuple(run.start for run in runs), first)
            queue, seen = deque([(begin, "")]), {begin}
            while queue:
                (states, last), word = queue.popleft()
                ways = [self._following(state, last, run.within) for state, run in zip(states, runs, strict=True)]
                for letter in set.intersection(*(set(way) for way in ways)):
                    for following in product(*(set(way[letter]) for way in ways)):
                        now = (following, letter)
                        if now == (goals, first):
                            return word + letter
                        if now not in seen:
                            seen.add(now)
                            queue.append((now, word + letter))
        return ""


def _any_case(plain: Set, flags: int) -> Set:
    if not flags & re.IGNORECASE:
        return plain
    return lambda letter: any(plain(one) for one in {letter, *letter.lower(), *letter.upper()} if len(one) == 1)


def _category(name: str, flags: int) -> Set:
    kind = name.rpartition("_")[2].lower()
    pattern = re.compile({"digit": r"\d", "space": r"\s", "word": r"\w"}[kind], flags & re.ASCII)
    wanted = "_NOT_" not in name
    return lambda letter: bool(pattern.match(letter)) == wanted


def _place(name: str, flags: int) -> Condition:
    """The condition of an anchor."""
    if name == "AT_BEGINNING" and flags & re.MULTILINE:
        return lambda last, _: last in (None, "\n")
    if name in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
        return lambda last, _: last is None
    if name == "AT_END" and flags & re.MULTILINE:
        return lambda _, following: following in (None, "\n")
    if name == "AT_END":
        return lambda _, following: following in (None, "\n")
    if name == "AT_END_STRING":
        return lambda _, following: following is None
    same = name == "AT_NON_BOUNDARY"
    return lambda last, following: (_is_word(last) == _is_word(following)) == same


def _is_word(letter: str | None) -> bool:
    return letter is not None and (letter.isalnum() or letter == "_")
