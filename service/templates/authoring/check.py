"""The check of templates: findings of compiling them, and of the version rule against a commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import Finding, NotFound
from service.templates.compiler import TemplateCompiler
from service.templates.findings import FindingCollector
from service.templates.front_matter.version_rule import BaseCommit, compare
from service.templates.site_values import environments_of, resolve_values
from service.templates.source.case_collisions import case_collisions
from service.templates.source.files import read_files
from service.templates.source.left_out import left_out
from service.templates.source.local_repository import LocalRepository


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The findings, each once, in the order of files and lines; `templates` is how many were checked."""

    findings: Sequence[Finding]
    templates: int

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(1 for finding in self.findings if finding.is_error)

    @property
    def warnings(self) -> int:
        """The number of warnings."""
        return len(self.findings) - self.errors


def check(
    root: Path,
    keys: Sequence[str] = (),
    *,
    compiler: TemplateCompiler,
    ref: str | None = None,
    allow_breaking: bool = False,
) -> CheckResult:
    """Compile the templates of these keys (none means all) and compare them with those at the commit `ref`.

    `allow_breaking` makes changes that break callers warnings, and so does a trailer `Breaking: KEY` of a commit since
    `ref` for that template. Raises NotFound for a key that is neither here nor at
    `ref`, GitError for an unknown commit.
    """
    files = read_files(root)
    base = BaseCommit(root, ref) if ref is not None else None
    here, there = files.template_keys(), base.files.template_keys() if base else ()
    known = sorted({*here, *there})
    if unknown := [key for key in keys if key not in known]:
        there_are = ", ".join(known) or "none"
        raise NotFound(f"There is no template {', '.join(map(repr, unknown))}; there are: {there_are}.")
    wanted = [key for key in known if not keys or key in keys]
    compilations = compiler.compile_all(files, [key for key in wanted if key in here])
    findings = {finding for compilation in compilations.values() for finding in compilation.findings}
    findings.update(compiler.values.resolve(files).findings)
    about_names = (*case_collisions(files.by_path, "error"), *left_out(root))
    findings.update(one for one in about_names if not keys or _is_of(one, wanted))
    for environment in environments_of(files):
        findings.update(one for one in resolve_values(files, environment)[1] if one.code != "placeholder-value")
    if base is not None:
        accepted = frozenset(wanted) if allow_breaking else _accepted(root, base)
        for key in wanted:
            collector = FindingCollector()
            compare(base, files, key, collector, breaking="warning" if key in accepted else "error")
            findings.update(collector.findings)
    ordered = sorted(findings, key=lambda one: (one.file, one.line, one.column, one.severity, one.code, one.message))
    return CheckResult(ordered, sum(1 for key in wanted if key in here))


def _accepted(root: Path, base: BaseCommit) -> frozenset[str]:
    repository = LocalRepository.around(root)
    return repository.accepted(base.commit, repository.commit("HEAD"))


def _is_of(finding: Finding, keys: Sequence[str]) -> bool:
    """Whether a finding is about one of these templates, or about a part that templates share."""
    folder = finding.file.split("/", 1)[0]
    return folder in keys or folder.startswith("_")
