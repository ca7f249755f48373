"""The comparison of two states of a template directory: the report, and every mail that differs, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.templates.diff.report import MailReport, Report, TemplateReport
from service.templates.mails import Mail, RenderedMail
from service.templates.source.files import Files


@dataclass(frozen=True, slots=True)
class MailDiff:
    """A mail before and after; None where that side has no such mail. `headers` are as snapshots hold them."""

    mail: Mail
    before: RenderedMail | None
    after: RenderedMail | None
    headers_before: str | None
    headers_after: str | None
    report: MailReport


@dataclass(frozen=True, slots=True)
class TemplateDiff:
    """A template that differs, with its mails that differ."""

    report: TemplateReport
    mails: Sequence[MailDiff]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The report with the renderings behind it; `templates` are those that differ. `head` are the files after."""

    report: Report
    templates: Sequence[TemplateDiff]
    head: Files
