"""report.html: a report for people who review mails. One file, without a script, that asks for nothing.

All texts come from a stranger's pull request; Jinja escapes them, and the page's policy forbids every request. Mails
are shown as pictures, or without a browser in sandboxed frames, which inherit that policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import jinja2

from service.mail.neutral_html import emulated, neutralised
from service.templates.diff.album import MAX_PICTURED, VIEWS, Album, Pictures, View, html_of, is_pictured
from service.templates.diff.comparison import Comparison, MailDiff, TemplateDiff
from service.templates.diff.panes import Pane, differs_elsewhere, pane_after, pane_before, pane_difference
from service.templates.diff.report import Report, TemplateReport, counted
from service.templates.diff.words import Piece, WordLine, changed_words, line_diff, visible_lines
from service.templates.mails import Mail, RenderedMail

#: Frames repeat a mail's HTML; more mails are shown by their words only.
_MAX_FRAMED = 60
#: Findings, names and lines of one list; the rest is a number.
MAX_LISTED = 200
_MAX_LINES = 400
_MAX_SUMMARY = 30
_WHY = {"own": "its own file", "shared": "shared part", "value": "value"}


@dataclass(frozen=True, slots=True)
class PictureView:
    """A mail in one view: its panes, those that are not there None.

    `is_dark_alone`: something differs in the dark that does not in the light.
    """

    view: View
    pictures: Pictures
    before: Pane | None
    after: Pane | None
    difference: Pane | None
    is_dark_alone: bool


@dataclass(frozen=True, slots=True)
class MailSection:
    """What the page says about a mail, beside its report. `like` is an earlier mail with the same words changed."""

    diff: MailDiff
    number: int
    subject: Sequence[Piece]
    preheader: Sequence[Piece]
    text: Sequence[WordLine]
    headers: Sequence[WordLine]
    visible: Sequence[WordLine]
    views: Sequence[PictureView]
    frames: Sequence[tuple[int, str, str]]
    note: str | None
    like: int | None

    @property
    def is_dark_alone(self) -> bool:
        """Whether something differs in the dark that does not in the light."""
        return any(one.is_dark_alone for one in self.views)


@dataclass(frozen=True, slots=True)
class TemplateSection:
    """A template with its mails, and what is said about it elsewhere in the report."""

    diff: TemplateDiff
    mails: Sequence[MailSection]

    @property
    def report(self) -> TemplateReport:
        """The report of the template."""
        return self.diff.report


@dataclass(slots=True)
class WordChange:
    """A line that changes in the same way in several mails."""

    line: WordLine
    mails: int = 0
    keys: list[str] = field(default_factory=list)


def report_html(comparison: Comparison, album: Album | None) -> str:
    """Write the page; without an album its mails are in frames."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kilobytes"] = _kilobytes
    sections = list(_sections(comparison, album))
    report = comparison.report
    return environment.get_template("report.html").render(
        report=report,
        sections=sections,
        same=sorted(one.key for one in report.templates if one.change == "same"),
        summary=_summary(sections),
        dark_alone=[one.report.key for one in sections if any(mail.is_dark_alone for mail in one.mails)],
        verdicts=_verdicts(report),
        pictures=_numbered(sections),
        has_album=album is not None,
        limit=MAX_LISTED,
        why=_WHY,
        replayed={one.key: one for one in report.replay.templates} if report.replay else {},
    )


def _source(name: str) -> str:
    return resources.files(__package__).joinpath("markup", name).read_text("utf-8")


def _sections(comparison: Comparison, album: Album | None) -> Iterator[TemplateSection]:
    number = shown = 0
    first: dict[tuple[Any, ...], int] = {}
    for template in comparison.templates:
        mails = []
        for one in template.mails:
            number += 1
            shown += is_pictured(one)
            is_shown = shown <= (_MAX_FRAMED if album is None else MAX_PICTURED)
            section = _section(one, number, album, is_shown=is_shown)
            like = first.setdefault(_change_of(section), number)
            mails.append(replace(section, like=like if like != number else None))
        yield TemplateSection(template, mails)


def _section(one: MailDiff, number: int, album: Album | None, *, is_shown: bool) -> MailSection:
    report = one.report
    before, after = html_of(one.before), html_of(one.after)
    views: list[PictureView] = []
    frames: list[tuple[int, str, str]] = []
    note = None
    if is_pictured(one):
        if not is_shown:
            note = "The report has enough mails; this one is not shown."
        elif album is None:
            frames = [(view.width, _framed(before), _framed(after)) for view in VIEWS if view.scheme == "light"]
        else:
            views = [_view(view, one.mail, album) for view in VIEWS if (one.mail, view) in album]
    return MailSection(
        one,
        number,
        changed_words(report.subject.before or "", report.subject.after or ""),
        changed_words(report.preheader.before or "", report.preheader.after or ""),
        _lines(_text(one.before), _text(one.after)) if "text" in report.parts else (),
        _lines(_headers(one.headers_before), _headers(one.headers_after)) if "headers" in report.parts else (),
        _lines(visible_lines(before or ""), visible_lines(after or "")) if before and after else (),
        views,
        frames,
        note,
        None,
    )


def _change_of(mail: MailSection) -> tuple[Any, ...]:
    """What is alike in mails that one need not look at one by one: all the words that change, and the dark look."""
    words = tuple((line.sign, tuple(line.pieces)) for line in mail.visible if line.sign not in ("same", "gap"))
    return (words or (mail.diff.mail.key, mail.diff.before is None, mail.diff.after is None)), mail.is_dark_alone


def _view(view: View, mail: Mail, album: Album) -> PictureView:
    pictures = album[mail, view]
    light = album.get((mail, View(view.width, "light"))) if view.scheme == "dark" else None
    is_dark_alone = light is not None and differs_elsewhere(pictures, light)
    panes = pane_before(pictures), pane_after(pictures), pane_difference(pictures)
    return PictureView(view, pictures, *panes, is_dark_alone)


def _framed(html: str | None) -> str:
    return emulated(neutralised(html), "light") if html is not None else ""


def _lines(before: Sequence[str], after: Sequence[str]) -> list[WordLine]:
    return line_diff(before, after)[:_MAX_LINES]


def _text(one: RenderedMail | None) -> list[str]:
    return one.rendered.text.splitlines() if one is not None and one.rendered is not None else []


def _headers(text: str | None) -> list[str]:
    """The headers without the subject, which is shown apart."""
    return [line for line in (text or "").splitlines() if not line.startswith("Subject: ")]


def _summary(sections: Sequence[TemplateSection]) -> list[WordChange]:
    """The words that change, each once: those of most mails first, as a shared part changes many alike."""
    found: dict[tuple[Any, ...], WordChange] = {}
    for template in sections:
        for mail in template.mails:
            for line in dict.fromkeys((line.sign, tuple(line.pieces)) for line in (*_inbox(mail), *mail.visible)):
                if line[0] in ("same", "gap"):
                    continue
                change = found.setdefault(line, WordChange(WordLine(*line)))
                change.mails += 1
                if template.report.key not in change.keys:
                    change.keys.append(template.report.key)
    return sorted(found.values(), key=lambda one: -one.mails)[:_MAX_SUMMARY]


def _inbox(mail: MailSection) -> Iterator[WordLine]:
    """The subject and the preheader, if they change; a mail that is new or gone changes none."""
    report = mail.diff.report
    if mail.diff.before is None or mail.diff.after is None:
        return
    for name, words, pieces in (
        ("Subject", report.subject, mail.subject),
        ("Preheader", report.preheader, mail.preheader),
    ):
        if words.before != words.after:
            yield WordLine("changed", [Piece("same", f"{name}: "), *pieces])


def _verdicts(report: Report) -> list[tuple[str, str]]:
    """Sentences, each with its weight: bad, note or good."""
    breaking = [one for one in report.contract if one.is_breaking]
    waiting = [one for one in breaking if not one.is_accepted]
    said: list[tuple[str, str]] = []
    if waiting:
        said.append(("bad", f"{counted(len(waiting), 'change')} would break callers: they must send something else."))
    elif breaking:
        said.append(("note", f"{counted(len(breaking), 'change')} for callers, which are accepted."))
    else:
        said.append(("good", "Callers need not change anything."))
    refused = sum(one.refused for one in report.replay.templates) if report.replay else 0
    if refused:
        said.append(
            ("bad", f"The running service would refuse {counted(refused, 'request')} of those it has had lately.")
        )
    errors = sum(1 for one in report.findings.new if one.severity == "error")
    if errors:
        said.append(("bad", f"{counted(errors, 'new error')} in the templates."))
    failed = sum(1 for one in report.templates for mail in one.mails if mail.failure)
    if failed:
        said.append(("bad", f"{counted(failed, 'mail')} can’t be rendered."))
    wrong = len(report.snapshots.wrong) + len(report.snapshots.missing) + len(report.snapshots.orphans)
    if wrong:
        said.append(
            (
                "bad",
                f"{counted(wrong, 'snapshot')} to update: rgz-email snapshots --update records what is rendered now.",
            )
        )
    clipped = sum(1 for one in report.templates for mail in one.mails if mail.is_clipped)
    if clipped:
        said.append(("note", f"Gmail clips {counted(clipped, 'mail')}: more than 102 KB of HTML."))
    if not report.is_whole:
        said.append(("note", "More differs than this report holds."))
    return said


def _numbered(sections: Sequence[TemplateSection]) -> Mapping[str, tuple[int, int, int]]:
    """The pictures, each once: data URI -> its number, width and height."""
    found: dict[str, tuple[int, int, int]] = {}
    for template in sections:
        for mail in template.mails:
            for view in mail.views:
                for picture in (view.pictures.after, view.pictures.old):
                    if picture is not None:
                        found.setdefault(picture.uri, (len(found) + 1, picture.width, picture.height))
    return found


def _kilobytes(size: int | None) -> str:
    return "none" if size is None else f"{size / 1024:,.1f} KB"
