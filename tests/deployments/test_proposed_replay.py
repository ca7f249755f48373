"""Replays of proposed templates: bounded in time, and silent about data."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from service.bootstrap import Services
from service.deployments.proposed_replay import BUDGET_S, ProposedReplay
from service.deployments.replay import declared_pointer
from service.errors import TryLater
from tests.support.template_kit import DirectCompiler

SCHEMA: dict[str, Any] = {
    "properties": {
        "rows": {"type": "array", "items": {"type": "object", "properties": {"amount": {}}}},
        "by_person": {"type": "object", "additionalProperties": {"properties": {"sum": {}}}},
        "a/b": {"type": "object", "properties": {"c~d": {}}},
    }
}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("", ""),
        ("/rows/3/amount", "/rows/3/amount"),
        ("/rows/3/awa@example.bj", "/rows/3/*"),
        ("/by_person/awa@example.bj/sum", "/by_person/*/sum"),
        ("/by_person/22901234567", "/by_person/*"),
        ("/by_person/awa/x/y", "/by_person/*/*/*"),
        ("/a~1b/c~0d", "/a~1b/c~0d"),
        ("/gone/awa@example.bj", "/gone/*"),
    ],
)
def test_pointer_hides_keys_that_a_caller_chose(place: str, told: str) -> None:
    assert declared_pointer(place, SCHEMA) == told


MAIL = """\
---
subject: Hello
description: A mail for the tests.
category: support
version: 1
---
<mjml lang="en"><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>
"""
CONTENTS = {f"{key}/template.mjml": MAIL for key in ("one", "two", "three")}


@pytest.fixture
def proposed(services: Services) -> Iterator[ProposedReplay]:
    """A replay whose clock goes on by half of its time at each look."""
    seconds = count(step=BUDGET_S / 2)
    yield ProposedReplay(
        services.templates.compiler,
        services.deployments.proposed_replay.replay,
        "production",
        lambda: datetime(2026, 11, 30, tzinfo=UTC),
        lambda: float(next(seconds)),
    )


def test_replay_begins_no_further_template_when_its_time_is_over(proposed: ProposedReplay) -> None:
    found = proposed.of(CONTENTS, ["one", "two", "three"])
    assert ([one.key for one in found.results], list(found.left)) == (["one", "two"], ["three"])


def test_replay_refuses_a_second_question_while_one_is_answered(proposed: ProposedReplay) -> None:
    refused: list[str] = []
    busy: list[ProposedReplay] = []

    class Asking(DirectCompiler):
        def compile(self, files: Any, key: str) -> Any:
            with pytest.raises(TryLater):
                busy[0].of(CONTENTS, ["one"])
            refused.append(key)
            return super().compile(files, key)

    asking = Asking(proposed.compiler.limits, proposed.compiler.values)
    busy.append(replace(proposed, compiler=asking))
    for _ in range(2):
        busy[0].of(CONTENTS, ["two"])
    assert refused == ["two", "two"]
