"""Parts of the report: contract changes and findings as its models."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from service.errors import Finding
from service.templates.compiler import Compilation
from service.templates.contract import ContractChange
from service.templates.diff import report as reports
from service.templates.diff.report import MAX_FINDINGS, cut
from service.templates.diff.sides import DiffSide
from service.templates.site_values import environments_of, resolve_values


def contract_report(one: ContractChange, *, is_accepted: bool) -> reports.ContractReport:
    """A change of the contract for the report."""
    return reports.ContractReport(
        key=cut(one.key, 300),
        code=one.code,
        is_breaking=one.is_breaking,
        is_accepted=one.is_breaking and is_accepted,
        file=cut(one.place.file, 300),
        line=one.place.line,
        column=one.place.column,
        message=cut(one.message, 1_000),
    )


def side_report(side: DiffSide) -> reports.Side:
    """One side for the report."""
    return reports.Side(ref=cut(side.ref, 300), commit=side.commit, note=cut(side.note, 1_000) if side.note else None)


def all_findings(side: DiffSide, compiled: Mapping[str, Compilation]) -> list[Finding]:
    """The findings of the templates that were looked at, and of the values of each environment, each once."""
    found = {finding for compilation in compiled.values() for finding in compilation.findings}
    found.update(side.findings)
    for environment in environments_of(side.files):
        found.update(one for one in resolve_values(side.files, environment)[1] if one.code != "placeholder-value")
    return sorted(found, key=lambda one: (one.file, one.line, one.column, one.severity, one.code, one.message))


def findings_report(before: Sequence[Finding], after: Sequence[Finding]) -> reports.Findings:
    """Findings are the same where file, code and message are: lines move."""
    old, new = Counter(map(_identity, before)), Counter(map(_identity, after))
    return reports.Findings(
        new=[_finding(one) for one in _beyond(after, old)][:MAX_FINDINGS],
        fixed=[_finding(one) for one in _beyond(before, new)][:MAX_FINDINGS],
        as_before=(old & new).total(),
    )


def _beyond(findings: Sequence[Finding], others: Counter[tuple[str, ...]]) -> Iterator[Finding]:
    left = others.copy()
    for one in findings:
        if left[_identity(one)] > 0:
            left[_identity(one)] -= 1
        else:
            yield one


def _identity(one: Finding) -> tuple[str, ...]:
    return (one.file, one.severity, one.code, one.message)


def _finding(one: Finding) -> reports.FindingReport:
    return reports.FindingReport(
        file=cut(one.file, 300),
        line=one.line,
        column=one.column,
        severity=one.severity,
        code=one.code,
        message=cut(one.message, 1_000),
        hint=cut(one.hint, 1_000),
    )
