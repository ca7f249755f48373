"""The report of a diff as lines for a terminal or the log of a CI job."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath

from service.templates.diff.report import ContractReport, FindingReport, Replayed, Report, Side, TemplateReport, counted
from service.templates.log_line import log_line

_MAX_LINES = 200
_MAX_SHARED = 3
_MAX_SNAPSHOTS = 20


def lines(report: Report) -> Iterator[str]:
    """The lines, without what a terminal would take for a command; templates first, the verdict last."""
    yield from map(log_line, _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield from _templates(report)
    yield from _contract(report)
    yield from _findings(report)
    shown = report.snapshots
    kept = "committed" if report.head.commit else "recorded"
    wrong = f", {len(shown.wrong)} are not what is rendered" if shown.wrong else ""
    yield (
        f"Snapshots: {len(shown.committed)} differ and are {kept}{wrong}. {len(shown.missing)} missing."
        f" {counted(len(shown.orphans), 'orphan')}."
    )
    named = [(shown.wrong, "not what is rendered"), (shown.missing, "missing"), (shown.orphans, "no mail makes it")]
    all_named = [f"  {name}: {what}" for names, what in named for name in names]
    yield from all_named[:_MAX_SNAPSHOTS]
    if len(all_named) > _MAX_SNAPSHOTS:
        yield f"  … and {len(all_named) - _MAX_SNAPSHOTS} more: rgz-email snapshots"
    if report.fails:
        yield f"Fails: {', '.join(report.fails)}."


def _templates(report: Report) -> Iterator[str]:
    differing = [one for one in report.templates if one.change != "same"]
    same = len(report.templates) - len(differing)
    first = f"Mails: {len(differing)} of {len(report.templates)} change, {same} the same."
    yield f"{first:<57}base {_side(report.base)}  head {_side(report.head)}"
    if report.base.note:
        yield f"  base: {report.base.note}"
    key_width = max((len(one.key) for one in differing), default=0)
    rows = [(one, _versions(one), _why(one)) for one in differing[:_MAX_LINES]]
    version_width = max((len(version) for _, version, _ in rows), default=0)
    why_width = max((len(why) for _, _, why in rows), default=0)
    for one, version, why in rows:
        yield f"  {one.key:<{key_width}}  {version:<{version_width}}  {why:<{why_width}}  {_parts(one)}".rstrip()
        for mail in one.mails:
            if mail.failure:
                yield f"    {mail.locale}.{mail.example}: {mail.failure}"
            if mail.is_clipped:
                size = f"{mail.size_after or 0:,} bytes of HTML"
                yield f"    {mail.locale}.{mail.example}: {size}; Gmail clips it at 102 KB"
    if len(differing) > _MAX_LINES:
        yield f"  … and {len(differing) - _MAX_LINES} more"


def _side(side: Side) -> str:
    return side.commit[:7] if side.commit else side.ref


def _versions(one: TemplateReport) -> str:
    before, after = (f"v{number}" if number is not None else "" for number in (one.version_before, one.version_after))
    if one.change in ("new", "gone"):
        return one.change
    return before or after if before == after or not before or not after else f"{before} -> {after}"


def _why(one: TemplateReport) -> str:
    """`own text`, and shared parts and values by name."""
    if one.change != "changed":
        return ""
    own = ["own text"] if any(why.kind == "own" for why in one.why) else []
    others = [
        str(PurePosixPath(why.name).with_suffix("")) if why.kind == "shared" else why.name
        for why in one.why
        if why.kind != "own"
    ]
    more = [f"{len(others) - _MAX_SHARED} more"] if len(others) > _MAX_SHARED else []
    return ", ".join([*own, *others[:_MAX_SHARED], *more])


def _parts(one: TemplateReport) -> str:
    """How many mails differ in each part."""
    if one.change == "gone":
        return ""
    if one.version_after is None:
        return "broken"
    parts = one.changed_parts
    said = [f"HTML {parts['html']} of {counted(one.mails_in_all, 'example')}"]
    said += [f"{part} {parts[part]}" for part in ("text", "subject", "preheader", "headers") if parts[part]]
    if parts["html"] and "subject" not in parts:
        said.append("subject 0")
    if one.new_examples:
        said.append(counted(one.new_examples, "new example"))
    return ", ".join(said)


def _contract(report: Report) -> Iterator[str]:
    breaking = [one for one in report.contract if one.is_breaking]
    others = [one for one in report.contract if not one.is_breaking]
    accepted = sum(1 for one in breaking if one.is_accepted)
    if not report.contract:
        yield "Contract: no change."
    else:
        safe = f", {len(others)} safe" if others else ""
        said = f" ({accepted} accepted)" if accepted else ""
        yield f"Contract: {len(breaking)} breaking{said}{safe}."
    replayed = {one.key: one for one in report.replay.templates} if report.replay else {}
    told: set[str] = set()
    for (key, _), of_key in groupby(breaking[:_MAX_LINES], lambda one: (one.key, one.is_accepted)):
        changes = list(of_key)
        yield from map(_change, changes)
        yield _about(changes[-1], report, replayed.get(key) if key not in told else None)
        told.add(key)
    yield from map(_change, others[: max(0, _MAX_LINES - len(breaking))])
    for key, result in replayed.items():
        if key not in told and (result.refused or result.failure):
            yield f"  {key}: {_replayed(report, result)}"
    if report.replay and report.replay.failure:
        yield f"  The service did not answer: {report.replay.failure}"
    elif report.replay and not any(one.refused or one.failure for one in report.replay.templates):
        sends = sum(one.replayed for one in report.replay.templates)
        yield f"  {_where(report)}: all of the last {counted(sends, 'send')} would be accepted."


def _change(one: ContractReport) -> str:
    return f"  {one.file}:{one.line}:{one.column}: {one.message} [{one.code}]"


def _about(one: ContractReport, report: Report, replayed: Replayed | None) -> str:
    said = [f"{_replayed(report, replayed)}"] if replayed else []
    if one.is_accepted:
        said.append("Accepted.")
    else:
        said.append(f'To accept: a commit trailer "Breaking: {one.key}".')
    return f"    {' '.join(said)}"


def _where(report: Report) -> str:
    replay = report.replay
    return f"{replay.environment or 'service'}, {counted(replay.days, 'day')}" if replay else ""


def _replayed(report: Report, one: Replayed) -> str:
    if one.failure:
        return f"{_where(report)}: the replay failed: {one.failure}."
    by_endpoint: Counter[str] = Counter()
    for refused in one.by:
        by_endpoint[refused.endpoint] += refused.count
    by = ", ".join(f"{endpoint}: {count:,}" for endpoint, count in by_endpoint.most_common())
    return f"{_where(report)}: would refuse {one.refused:,} of {one.replayed:,}{f' ({by})' if by else ''}."


def _findings(report: Report) -> Iterator[str]:
    found = report.findings
    yield f"Findings: {len(found.new)} new, {len(found.fixed)} fixed, {found.as_before} as before."
    yield from (f"  {_finding(one)}" for one in _shortened(found.new))


def _shortened(found: Sequence[FindingReport]) -> Sequence[FindingReport]:
    return sorted(found, key=lambda one: one.severity)[:_MAX_LINES]


def _finding(one: FindingReport) -> str:
    hint = f" ({one.hint})" if one.hint else ""
    return f"{one.file}:{one.line}:{one.column}: {one.severity}: {one.message}{hint} [{one.code}]"
