"""Findings as the CI of a forge takes them: GitHub's workflow commands, SARIF, and GitLab's code quality report.

Paths are relative to the repository's root. A fingerprint is made of the code, the file, the text of the line and the
message without its numbers, so that it stays the same where lines move.
"""

import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service import __version__
from service.errors import Finding

_MAX_SOURCE_BYTES = 2_000_000
_LEVELS = {"error": "major", "warning": "minor"}


@dataclass(frozen=True, slots=True)
class Annotation:
    """A finding at its place in the repository."""

    finding: Finding
    path: str
    fingerprint: str

    @property
    def message(self) -> str:
        """What is wrong and how to fix it, with the code."""
        hint = f" ({self.finding.hint})" if self.finding.hint else ""
        return f"{self.finding.message}{hint} [{self.finding.code}]"


def annotations(findings: Sequence[Finding], templates: Path) -> list[Annotation]:
    """The findings of a template directory at their places in the checkout that holds it; errors come first."""
    templates = templates.resolve()
    root = next((one for one in (templates, *templates.parents) if (one / ".git").exists()), Path.cwd().resolve())
    prefix = templates.relative_to(root).as_posix() if templates.is_relative_to(root) else templates.name
    sources: dict[str, list[str]] = {}
    seen: Counter[str] = Counter()
    made = []
    for one in findings:
        path = posixpath.normpath(posixpath.join(prefix, one.file))
        lines = sources.setdefault(one.file, _lines(templates / one.file))
        text = lines[one.line - 1].strip() if 0 < one.line <= len(lines) else ""
        told = "\0".join((one.code, path, re.sub(r"[0-9]+", "", one.message), text))
        digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        seen[digest] += 1
        made.append(Annotation(one, path, f"{digest}:{seen[digest]}"))
    return sorted(made, key=lambda one: not one.finding.is_error)


def github_commands(found: Sequence[Annotation]) -> Iterator[str]:
    """Workflow commands, each of which GitHub shows at its line of the pull request.

    GitHub shows 10 errors and 10 warnings of a step, and 50 annotations of a job; its log has them all.
    """
    for one in found:
        at = {"file": one.path, "line": one.finding.line, "col": one.finding.column, "title": one.finding.code}
        where = ",".join(f"{name}={_property(str(value))}" for name, value in at.items())
        yield f"::{one.finding.severity} {where}::{_data(one.message)}"


def sarif(found: Sequence[Annotation]) -> str:
    """A log of SARIF 2.1.0 (OASIS), with a rule for each code that was found."""
    told = json.loads(resources.files(__package__).joinpath("finding_help.json").read_text("utf-8"))
    codes = sorted({one.finding.code for one in found})
    driver = {
        "name": "rgz-email",
        "version": __version__,
        "rules": [_rule(code, told.get(code)) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.finding.code)) for one in found],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def code_quality(found: Sequence[Annotation]) -> str:
    """GitLab's code quality report."""
    listed = [
        {
            "description": one.message,
            "check_name": one.finding.code,
            "fingerprint": one.fingerprint,
            "severity": _LEVELS[one.finding.severity],
            "location": {"path": one.path, "lines": {"begin": max(one.finding.line, 1)}},
        }
        for one in found
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def _rule(code: str, told: Mapping[str, str] | None) -> dict[str, Any]:
    wrong, mend = (told["wrong"], told["mend"]) if told else (code, "see the message")
    return {"id": code, "shortDescription": {"text": wrong}, "help": {"text": f"{wrong}. What to do: {mend}."}}


def _result(one: Annotation, rule_index: int) -> dict[str, Any]:
    region = {"startLine": max(one.finding.line, 1), "startColumn": max(one.finding.column, 1)}
    location = {"uri": quote(one.path), "uriBaseId": "%SRCROOT%"}
    return {
        "ruleId": one.finding.code,
        "ruleIndex": rule_index,
        "level": one.finding.severity,
        "message": {"text": _unlinked(one.message)},
        "locations": [{"physicalLocation": {"artifactLocation": location, "region": region}}],
        # GitHub follows a finding by this name, which is that of its own fingerprints, and by no other.
        "partialFingerprints": {"primaryLocationLineHash": one.fingerprint},
    }


def _unlinked(text: str) -> str:
    """A message in which no link is embedded, which would have the form [text](target) (SARIF 2.1.0, 3.11.6)."""
    return text.replace("[", "\\[").replace("]", "\\]") if "](" in text else text


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _lines(file: Path) -> list[str]:
    """The lines of a file; none where it is gone or no text that a finding could be in."""
    try:
        if not file.is_file() or file.stat().st_size > _MAX_SOURCE_BYTES:
            return []
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
