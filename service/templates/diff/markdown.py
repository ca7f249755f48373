"""A report in Markdown, for report.md and the comment on a pull request.

The report may be a stranger's file, so each of its texts stands in a code span (`markdown_text`), and no line begins
with one. What is too long is shortened in the order of `_Section.rank`: preheaders, subjects, names of snapshots, the
replay, warnings, rows of the table, errors, and last the contract, each from its end. The verdict is never shortened.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.templates.diff.markdown_text import code
from service.templates.diff.report import (
    ContractReport,
    FindingReport,
    MailReport,
    Replayed,
    Report,
    ServiceReplay,
    Side,
    TemplateReport,
    Words,
    counted,
)

#: GitHub refuses a comment of more than 65,536 characters; report.md has a margin.
MAX_CHARACTERS = 60_000
_MAX_KEY = 100
_MAX_PATH = 200
_MAX_MESSAGE = 400
_MAX_WORDS = 300
_MAX_WHY = 4
_MAX_REFUSED_BY = 5
_MAX_OPEN = 10
_PARTS = {"html": "HTML", "text": "text", "subject": "subject", "preheader": "preheader", "headers": "headers"}


@dataclass
class _Section:
    """A heading that stays, and lines that may be cut from the end, sections of the lowest rank first."""

    rank: int
    heading: Sequence[str]
    lines: list[str]
    noun: str
    tail: Sequence[str] = ()
    cut: int = field(default=0, init=False)

    @property
    def text(self) -> str:
        more = ["", f"…and {self.cut:,} more {self.noun}."] if self.cut else []
        return "\n".join([*self.heading, *self.lines, *more, *self.tail])


def markdown(report: Report, *, run_url: str | None = None, max_characters: int = MAX_CHARACTERS) -> str:
    """Write the report in at most `max_characters`, of UTF-16 as forges count them; the verdict is always there.

    `run_url` is the page where the whole report is kept; it is the only link. One that is no https URL is left out.
    """
    verdict = "\n".join(_verdict(report, run_url))
    made = [
        _contract(report), *_mails(report.templates), *_findings(report), _replay(report.replay, report.contract),
        *_snapshots(report), _words("Subjects", "subject", 2, report, lambda mail: mail.subject),
        _words("Preheaders", "preheader", 1, report, lambda mail: mail.preheader),
    ]  # fmt: skip
    sections = [one for one in made if one is not None]
    _shorten(verdict, sections, max_characters)
    while sections and _length(_joined(verdict, sections)) > max_characters:
        sections.remove(min(sections, key=lambda one: one.rank))
    return _joined(verdict, sections)


def _joined(verdict: str, sections: Iterable[_Section]) -> str:
    return "\n\n".join([verdict, *(one.text for one in sections)]) + "\n"


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _shorten(verdict: str, sections: Sequence[_Section], max_characters: int) -> None:
    """Cut lines from the ends of sections, by their ranks, until all fits or no line is left."""
    over = _length(_joined(verdict, sections)) - max_characters
    for section in sorted(sections, key=lambda one: one.rank):
        if over > 0 and section.lines:
            before = _length(section.text)
            section.cut = 1
            over += _length(section.text) - before + len("000,000")
            section.cut = 0
        while over > 0 and section.lines:
            over -= _length(section.lines.pop()) + 1
            section.cut += 1


def _verdict(report: Report, run_url: str | None) -> list[str]:
    changed = sum(1 for one in report.templates if one.change != "same")
    same = len(report.templates) - changed
    breaking = [one for one in report.contract if one.is_breaking]
    open_breaking = sum(1 for one in breaking if not one.is_accepted)
    errors = sum(1 for one in report.findings.new if one.severity == "error")
    wrong = len(report.snapshots.wrong) + len(report.snapshots.missing) + len(report.snapshots.orphans)
    failed = sum(1 for one in report.templates for mail in one.mails if mail.failure is not None)
    clipped = sum(1 for one in report.templates for mail in one.mails if mail.is_clipped)
    said = [
        (open_breaking, "breaks callers", "break callers", "change"),
        (errors, "is new", "are new", "error"),
        (failed, "can't be rendered", "can't be rendered", "mail"),
        (wrong, "is not what is rendered now", "are not what is rendered now", "snapshot"),
    ]
    bad = [
        f"- **{counted(number, noun)} {one if number == 1 else many}.**" for number, one, many, noun in said if number
    ]
    notes = [f"- {counted(len(breaking) - open_breaking, 'breaking change')} accepted."] * (
        len(breaking) > open_breaking
    )
    notes += [f"- {counted(clipped, 'mail')} of more than 102 KB, which Gmail clips."] * bool(clipped)
    notes += ["- The report was cut at its bounds; more differs than it says."] * (not report.is_whole)
    fails = ", ".join(dict.fromkeys(report.fails))
    return [
        f"### Mails: {changed:,} of {len(report.templates):,} change, {same:,} the same", "",
        *(bad or ["- **No breaking change, no new error, no snapshot that is wrong.**"]),
        *notes, *([f"- The check fails: {fails}."] if fails else []), "",
        f"Base {_side(report.base)}, head {_side(report.head)}.{_link(run_url)}",
    ]  # fmt: skip


def _side(side: Side) -> str:
    named = code(side.commit[:12], 12) if side.commit else "the working tree"
    return f"{named} ({code(side.note, _MAX_WORDS)})" if side.note else named


def _link(url: str | None) -> str:
    """The link to the run; only of characters that can't end a link, whatever set it."""
    if url is None or not url.isascii() or not url.isprintable() or any(one in " <>()[]\\`\"'|" for one in url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f" [Pictures and the whole report]({url})." if parts.scheme == "https" and parts.hostname else ""


def _contract(report: Report) -> _Section | None:
    if not report.contract:
        return None
    ordered = sorted(report.contract, key=lambda one: (not one.is_breaking, one.is_accepted))
    replays = {one.key: one for one in report.replay.templates} if report.replay else {}
    lines = []
    for one in ordered:
        kind = "safe" if not one.is_breaking else "breaking, accepted" if one.is_accepted else "**breaking**"
        position = _position(one.file, one.line, one.column)
        lines.append(f"- {kind}: {position}: {code(one.message, _MAX_MESSAGE)} {code(one.code, _MAX_KEY)}")
        if one.is_breaking and (replayed := replays.pop(one.key, None)):
            lines.append(f"  - {_replayed(replayed)}")
        if one.is_breaking and not one.is_accepted:
            lines.append(f"  - To accept: a commit trailer {code(f'Breaking: {one.key}', _MAX_KEY + 10)}")
    breaking = sum(1 for one in report.contract if one.is_breaking)
    heading = f"#### Contract: {breaking:,} breaking, {len(report.contract) - breaking:,} safe"
    return _Section(8, [heading, ""], lines, "lines of the contract")


def _mails(templates: Sequence[TemplateReport]) -> list[_Section]:
    rows = [
        f"| {code(one.key, _MAX_KEY)} | {_version(one)} | {_why(one)} | {_differs(one)} |"
        for one in templates
        if one.change != "same"
    ]
    if not rows:
        return []
    return [
        _Section(6, ["#### Mails", "", "| template | version | why | differs |", "|---|---|---|---|"], rows, "rows")
    ]


def _version(one: TemplateReport) -> str:
    before, after = (f"v{number}" if number is not None else "" for number in (one.version_before, one.version_after))
    if one.change in ("new", "gone"):
        return f"{one.change} {after or before}".strip()
    return before if before == after else f"{before or 'broken'} → {after or 'broken'}"


def _why(one: TemplateReport) -> str:
    told = [f"{why.kind} {code(why.name, _MAX_KEY)}" for why in one.why[:_MAX_WHY]]
    more = [f"{len(one.why) - _MAX_WHY:,} more"] if len(one.why) > _MAX_WHY else []
    return ", ".join(told + more)


def _is_broken(one: TemplateReport) -> bool:
    """Whether its files are there, and can't be compiled any more."""
    return one.change == "changed" and one.version_after is None


def _differs(one: TemplateReport) -> str:
    if _is_broken(one):
        return "**can't be compiled**"
    parts = one.changed_parts
    told = [f"{name} {parts[part]:,}" for part, name in _PARTS.items() if parts[part]]
    failed = sum(1 for mail in one.mails if mail.failure is not None)
    told += [f"**{failed:,} can't be rendered**"] * bool(failed)
    new = f", {counted(one.new_examples, 'new example')}" if one.new_examples else ""
    return f"{', '.join(told) or 'nothing'} of {counted(one.mails_in_all, 'mail')}{new}"


def _findings(report: Report) -> list[_Section]:
    found = report.findings
    errors = [one for one in found.new if one.severity == "error"]
    warnings = [one for one in found.new if one.severity == "warning"]
    if not (found.new or found.fixed):
        return []
    heading = f"#### Findings: {len(found.new):,} new, {len(found.fixed):,} fixed, {found.as_before:,} as before"
    return [
        _Section(7, [heading, ""], [_finding(one) for one in errors], "errors"),
        *([_Section(5, [], [_finding(one) for one in warnings], "warnings")] if warnings else []),
    ]


def _finding(one: FindingReport) -> str:
    hint = f" ({code(one.hint, _MAX_MESSAGE)})" if one.hint else ""
    position = _position(one.file, one.line, one.column)
    return f"- {one.severity}: {position}: {code(one.message, _MAX_MESSAGE)}{hint} {code(one.code, _MAX_KEY)}"


def _replay(replay: ServiceReplay | None, contract: Sequence[ContractReport]) -> _Section | None:
    if replay is None:
        return None
    where = code(replay.environment, _MAX_KEY) if replay.environment else "the service"
    if replay.failure is not None:
        return _Section(4, ["#### Replay of sends", "", f"None: {code(replay.failure, _MAX_MESSAGE)}"], [], "templates")
    sends, refused = (sum(getattr(one, name) for one in replay.templates) for name in ("replayed", "refused"))
    told = {one.key for one in contract if one.is_breaking}
    lines = [
        f"- {code(one.key, _MAX_KEY)}: {_replayed(one)}"
        for one in replay.templates
        if one.key not in told and (one.refused or one.failure is not None)
    ]
    heading = f"In {where}, {counted(replay.days, 'day')}: would refuse {refused:,} of {sends:,}."
    return _Section(4, ["#### Replay of sends", "", heading, *([""] if lines else [])], lines, "templates")


def _replayed(one: Replayed) -> str:
    if one.failure is not None:
        return f"no replay: {code(one.failure, _MAX_MESSAGE)}"
    by = [f"{code(f'{by.endpoint} {by.pointer}', _MAX_KEY)} {by.count:,}" for by in one.by[:_MAX_REFUSED_BY]]
    return f"would refuse {one.refused:,} of {one.replayed:,} sends{' (' + ', '.join(by) + ')' if by else ''}"


def _snapshots(report: Report) -> list[_Section]:
    found = report.snapshots
    kinds = [("wrong", found.wrong), ("missing", found.missing), ("orphan", found.orphans)]
    if not (found.committed or any(names for _, names in kinds)):
        return []
    kept = "committed" if report.head.commit else "recorded"
    heading = (
        f"#### Snapshots: {len(found.committed):,} that differ and are {kept}, {len(found.wrong):,} wrong,"
        f" {len(found.missing):,} missing, {counted(len(found.orphans), 'orphan')}"
    )
    lines = [f"- {kind}: {code(name, _MAX_PATH)}" for kind, names in kinds for name in names]
    return [_Section(3, [heading, *(_folded("Names", lines) if lines else [])], lines, "snapshots", _unfolded(lines))]


def _words(
    title: str, noun: str, rank: int, report: Report, words_of: Callable[[MailReport], Words]
) -> _Section | None:
    rows = []
    for one in report.templates:
        for mail in one.mails if not _is_broken(one) and one.change != "gone" else ():
            words = words_of(mail)
            if words.before != words.after:
                name = code(f"{one.key}/{mail.locale}.{mail.example}", _MAX_PATH)
                rows.append(f"| {name} | {_word(words.before)} | {_word(words.after)} |")
    if not rows:
        return None
    heading = [f"#### {title}", *_folded(f"{len(rows):,} differ", rows), "| mail | before | after |", "|---|---|---|"]
    return _Section(rank, heading, rows, f"{noun}s", _unfolded(rows))


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    """What begins many lines, which a reader opens; Markdown in it needs a line between."""
    return ["", *(["<details><summary>" + summary + "</summary>", ""] if len(lines) > _MAX_OPEN else [])]


def _unfolded(lines: Sequence[str]) -> list[str]:
    return ["", "</details>"] if len(lines) > _MAX_OPEN else []


def _word(text: str | None) -> str:
    return "" if text is None else code(text, _MAX_WORDS)


def _position(file: str, line: int, column: int) -> str:
    """`file:line:column`, with the end of a long path."""
    path = file if len(file) <= _MAX_PATH else f"…{file[-_MAX_PATH:]}"
    return code(f"{path}:{line}:{column}", _MAX_PATH + 30)
