"""Comparisons for tests of reports: mails given by their HTML, before and after."""

from collections.abc import Mapping
from typing import Literal

from service.models import Rendered
from service.templates.diff.comparison import Comparison, MailDiff, TemplateDiff
from service.templates.diff.report import MailReport, Report, Side, TemplateReport, Why, Words
from service.templates.mails import Mail, RenderedMail
from service.templates.source.files import Files

Change = Literal["changed", "new", "gone"]


def page(body: str, head: str = "") -> str:
    """A mail with this body, whose paragraphs are as high everywhere."""
    return f"""<!doctype html><html lang="en"><head><title>t</title>{head}</head>
<body style="margin: 0; font: 16px/24px 'Liberation Sans', sans-serif; background: #fff">{body}</body></html>"""


def comparison(
    mails: Mapping[str, tuple[str | None, str | None]],
    *,
    report: Report | None = None,
    subjects: tuple[str, str] = ("Hello", "Hello"),
    key: str = "hello",
) -> Comparison:
    """A template `key` with an example for each pair of HTML; None is a side without that mail."""
    diffs = [_mail(Mail(key, "en", name), *sides, subjects) for name, sides in mails.items()]
    template = TemplateReport(
        key=key,
        change="changed",
        version_before=1,
        version_after=2,
        why=[Why(kind="own", name=f"{key}/template.mjml")],
        mails=[one.report for one in diffs],
        mails_in_all=len(diffs),
    )
    side = Side(ref="main")
    report = report or Report(tool="rgz-email", base=side, head=side, templates=[template])
    return Comparison(report, [TemplateDiff(template, diffs)], Files({}))


def _mail(mail: Mail, before: str | None, after: str | None, subjects: tuple[str, str]) -> MailDiff:
    old, new = (
        RenderedMail(mail, Rendered(subject, html, f"Text of {html}", "en")) if html is not None else None
        for subject, html in zip(subjects, (before, after), strict=True)
    )
    report = MailReport(
        locale="en",
        example=mail.example,
        parts=["html", "text", "headers"],
        subject=Words(before=subjects[0] if old else None, after=subjects[1] if new else None),
        preheader=Words(before=None, after=None),
        size_before=len(before) if before is not None else None,
        size_after=len(after) if after is not None else None,
    )
    headers = "Subject: {}\nFrom: A <a@example.com>\nVersion: {}\n"
    headers_before = headers.format(subjects[0], 1) if old else None
    headers_after = headers.format(subjects[1], 2) if new else None
    return MailDiff(mail, old, new, headers_before, headers_after, report)
