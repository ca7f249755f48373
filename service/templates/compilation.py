"""The result of compiling a template: the template or findings, and what an installation's values add to them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from service.errors import Finding
from service.templates.positions import Place
from service.templates.runtime.sandbox import RenderLimits
from service.templates.site_uses import SiteUse
from service.templates.site_values import ResolvedValues, ValueProblem
from service.templates.template import Template


@dataclass(frozen=True)
class Compilation:
    """The result of compiling a template: `template` is None if a finding is an error.

    `dependencies` maps the path of each file that was looked for to its digest, None for a file that does not exist.
    `site_uses` are the values of the installation that are used; `bare` is the compilation before it was `installed`.
    """

    template: Template | None
    findings: tuple[Finding, ...]
    dependencies: Mapping[str, str | None]
    site_uses: Mapping[str, SiteUse] = field(default_factory=dict)
    bare: "Compilation | None" = None
    values: ResolvedValues | None = None

    def installed(self, values: ResolvedValues) -> "Compilation":
        """The compilation in an installation with these values, whose problems are findings of templates that use them.

        The template is None if one of them is an error.
        """
        if self.values is values:
            return self
        bare = self.bare or self
        found = [
            _value_finding(values.problems[name], use)
            for name, use in bare.site_uses.items()
            if name in values.problems
        ]
        template = (
            None if any(one.is_error for one in found) or not bare.template else bare.template.with_site(values.site)
        )
        findings = sorted({*bare.findings, *found}, key=lambda one: (one.file, one.line, one.column, one.severity))
        return Compilation(template, tuple(findings), bare.dependencies, bare.site_uses, bare, values)

    def as_json(self) -> dict[str, Any]:
        """The compilation as JSON values, without what the installation adds."""
        bare = self.bare or self
        return {
            "archive": bare.template.archive().decode() if bare.template else None,
            "findings": [asdict(finding) for finding in bare.findings],
            "dependencies": dict(bare.dependencies),
            "site_uses": {name: asdict(use) for name, use in bare.site_uses.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, limits: RenderLimits) -> "Compilation":
        """The compilation that `as_json` wrote. Raises ArchiveCorrupt."""
        archive = data["archive"]
        template = Template.from_archive(archive.encode(), limits=limits) if archive is not None else None
        uses = {name: SiteUse(**use) for name, use in data["site_uses"].items()}
        return cls(template, tuple(Finding(**one) for one in data["findings"]), data["dependencies"], uses)


def _value_finding(problem: ValueProblem, use: SiteUse) -> Finding:
    """The finding of a template that uses a value with a problem: at the value, or else at its use."""
    is_error = problem.is_error or (problem.is_missing and use.is_needed)
    at = problem.place or Place(use.file, use.line, use.column)
    severity: Literal["error", "warning"] = "error" if is_error else "warning"
    message = problem.message
    if problem.is_missing and use.is_needed:
        message = message.replace("mails go without it", "this mail can't be written without it")
    return Finding(at.file, at.line, at.column, severity, problem.code, message, problem.hint)
