"""Replay: would the last sends of a template still be accepted and rendered by its new revision?

The variables never leave the service: a child process renders them, and answers with counts and JSON pointers.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.errors import ChildFailed, RenderError, pointer
from service.isolation.child_processes import ChildProcesses
from service.isolation.limits import TaskLimits
from service.store import replays
from service.store.database import Database
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import Site
from service.templates.template import Template

#: The module that a fork server loads for this.
MODULE = __name__
#: Sends of the last days count, the newest ones, at most so many of a template.
REPLAYED_DAYS = 30
REPLAYED_SENDS = 1_000
#: All templates of a deployment together; each has a share, so that a change of a shared part stays quick.
_REPLAYED_IN_ALL = 50_000
_LIMITS = TaskLimits(deadline_s=60.0, cpu_s=30)
#: Different refusals that are told.
_MAX_TOLD = 5
#: The service gives this variable to marketing mail itself, one for each recipient.
UNSUBSCRIBE_VARIABLE = "unsubscribe_url"
_EXAMPLE_LINK = "https://example.com/unsubscribe"


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The outcome for one template: `refused` of `replayed` sends, by source endpoint and JSON pointer."""

    key: str
    replayed: int
    refused: Mapping[tuple[str, str], int]
    failure: str | None = None

    @property
    def refusal(self) -> str | None:
        """A sentence with numbers, endpoints and pointers; None where all would be accepted."""
        if self.failure is not None:
            return f"{self.key}: the replay of {self.replayed:,} sends failed: {self.failure}"
        if not self.refused:
            return None
        told = sorted(self.refused.items(), key=lambda item: -item[1])[:_MAX_TOLD]
        parts = ", ".join(f"{endpoint} {count:,} at {place}" for (endpoint, place), count in told)
        total = sum(self.refused.values())
        return f"{self.key}: would refuse {total:,} of {self.replayed:,}: {parts}"


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays the last sends of templates, each in a child process."""

    database: Database
    children: ChildProcesses
    limits: RenderLimits

    def of(self, templates: Sequence[Template], site: Site, now: datetime) -> list[ReplayResult]:
        """The results of those templates that were sent lately."""
        limit = max(20, min(REPLAYED_SENDS, _REPLAYED_IN_ALL // max(1, len(templates))))
        results = (self.one(template, site, now, limit) for template in templates)
        return [result for result in results if result.replayed]

    def one(self, template: Template, site: Site, now: datetime, limit: int) -> ReplayResult:
        """The result of a template, of at most `limit` sends; with none of them where it was not sent lately."""
        since = now - timedelta(days=REPLAYED_DAYS)
        sends = replays.recent_variables(self.database, template.key, since=since, limit=limit)
        if not sends:
            return ReplayResult(template.key, 0, {})
        arguments = (template.archive(), [(send.variables, send.locale) for send in sends], self.limits, site)
        try:
            answer = self.children.run(f"{MODULE}:replay_in_child", *arguments, limits=_LIMITS, is_urgent=True)
        except ChildFailed as error:
            return ReplayResult(template.key, len(sends), {}, str(error))
        refused = Counter((sends[index].source_endpoint, place) for index, place in json.loads(answer))
        return ReplayResult(template.key, len(sends), refused)


def replay_in_child(archive: bytes, sends: Sequence[tuple[str, str]], limits: RenderLimits, site: Site) -> bytes:
    """Check and render each send; returns JSON: a list of (index, JSON pointer) of those that would be refused."""
    template = Template.from_archive(archive, limits=limits).with_site(site)
    has_link = UNSUBSCRIBE_VARIABLE in template.manifest.schema.get("properties", {})
    refused = []
    for index, (written, locale) in enumerate(sends):
        variables = {UNSUBSCRIBE_VARIABLE: _EXAMPLE_LINK, **json.loads(written)} if has_link else json.loads(written)
        try:
            place = _refused_at(template, variables, locale)
        except Exception as error:
            # What it says may repeat a variable.
            raise RuntimeError(f"a rendering ended with {type(error).__name__}") from None
        if place is not None:
            refused.append((index, place))
    return json.dumps(refused).encode()


def _refused_at(template: Template, variables: Mapping[str, Any], locale: str) -> str | None:
    """The JSON pointer at which a send would be refused; None where it would be accepted."""
    problems = template.problems(variables)
    if problems:
        return "/variables" + declared_pointer(problems[0].pointer, template.manifest.schema)
    try:
        template.render(variables, locale=locale)
    except RenderError as error:
        return pointer("variables", error.variable) if error.variable else "/variables"
    return None


def declared_pointer(place: str, schema: Mapping[str, Any]) -> str:
    """A JSON pointer with `*` for each key that a caller chose: such keys are data, and may be a person's.

    Names of variables are always declared: the revision that accepted them had them.
    """
    names = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]
    told: list[str] = []
    part: Any = schema
    for depth, name in enumerate(names):
        part = part if isinstance(part, Mapping) else {}
        if name in part.get("properties", {}):
            part = part["properties"][name]
        elif "items" in part and name.isdigit():
            part = part["items"]
        else:
            part = part.get("additionalProperties")
            name = name if depth == 0 else "*"
        told.append(name)
    return pointer(*told)
