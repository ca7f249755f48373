"""Replay of templates that are proposed, as by a pull request: would the last sends still be accepted?

The files come with the question; nothing of them is stored or served. The answer is numbers.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.deployments.replay import REPLAYED_DAYS, REPLAYED_SENDS, Replay, ReplayResult
from service.errors import InvalidRequest, Problem, TryLater, pointer
from service.templates.compiler import TemplateCompiler
from service.templates.site_values import BESIDE
from service.templates.source.files import Files, is_template_file, resolve

#: No further template is begun after this long, so that the caller has an answer before a proxy gives up.
BUDGET_S = 20.0
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class ProposedResults:
    """The results for each template, and the keys for which there was no time: they may be asked about again."""

    environment: str
    days: int
    results: Sequence[ReplayResult]
    left: Sequence[str]


@dataclass(frozen=True)
class ProposedReplay:
    """Compiles templates for this installation and replays what callers sent. One question at a time in a process."""

    compiler: TemplateCompiler
    replay: Replay
    environment: str
    clock: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, contents: dict[str, str], keys: Sequence[str]) -> ProposedResults:
        """The results for the templates `keys` among these files.

        Raises InvalidRequest for a path that is none of a template directory, TryLater while others are asking.
        """
        files = _files(contents, keys)
        if not self._turn.acquire(blocking=False):
            raise TryLater("Other templates are being replayed at the moment.", retry_after_s=_RETRY_AFTER_S)
        try:
            return self._in_turn(files, keys)
        finally:
            self._turn.release()

    def _in_turn(self, files: Files, keys: Sequence[str]) -> ProposedResults:
        results: list[ReplayResult] = []
        end_s = self.monotonic_s() + BUDGET_S
        site = self.compiler.values.resolve(files).site
        for key in keys:
            if results and self.monotonic_s() >= end_s:
                break
            try:
                template = self.compiler.compile(files, key).template
            except TryLater:
                if not results:
                    raise
                break
            if template is None:
                results.append(ReplayResult(key, 0, {}, "it does not compile for this installation"))
            else:
                results.append(self.replay.one(template, site, self.clock(), REPLAYED_SENDS))
        return ProposedResults(self.environment, REPLAYED_DAYS, results, keys[len(results) :])


def _files(contents: dict[str, str], keys: Sequence[str]) -> Files:
    """The files. Raises InvalidRequest."""
    problems = [
        Problem(pointer("files", path), "path", "this is no path of a template directory")
        for path in contents
        if not is_template_file(path.removeprefix("../")) or not (resolve("", path) == path or BESIDE.fullmatch(path))
    ]
    problems += [
        Problem(pointer("keys", number), "unknown", f"there is no file {key}/template.mjml")
        for number, key in enumerate(keys)
        if f"{key}/template.mjml" not in contents
    ]
    if problems:
        raise InvalidRequest("The files can't be replayed.", problems)
    return Files.of({path: text.encode("utf-8", "replace") for path, text in contents.items()})
