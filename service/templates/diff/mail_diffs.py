"""The mails of one template that differ between two states of it, part by part."""

import re
from collections.abc import Sequence
from typing import Literal

from service.mail.html_tokens import unescape
from service.mail.inspection import GMAIL_CLIPS_AFTER_BYTES
from service.templates.diff.comparison import MailDiff
from service.templates.diff.report import MailReport, Words, cut
from service.templates.mails import Mail, RenderedMail, headers_text
from service.templates.template import Template

Part = Literal["html", "text", "subject", "preheader", "headers"]
#: The compiler prints <mj-preview> as the first element of the body, hidden so.
_PREHEADER = re.compile(
    r"<div\b[^<>]{0,40}\bstyle=\"display:none;font-size:1px;[^\"<>]{0,200}\"[^<>]{0,40}>([^<]*)</div>"
)
_PREHEADER_WITHIN = 200_000
_SHOWN = 1_000


def mail_diffs(
    old: Template | None, new: Template | None, before: Sequence[RenderedMail], after: Sequence[RenderedMail]
) -> list[MailDiff]:
    """The mails that differ, in the order of the later side; those that are gone come last."""
    olds = {one.mail: one for one in before}
    news = {one.mail: one for one in after}
    made = [_mail_diff(mail, old, new, olds.get(mail), news.get(mail)) for mail in {**news, **olds}]
    return [one for one in made if one.report.parts or one.report.failure]


def _mail_diff(
    mail: Mail,
    old: Template | None,
    new: Template | None,
    before: RenderedMail | None,
    after: RenderedMail | None,
) -> MailDiff:
    was, now = before.rendered if before else None, after.rendered if after else None
    headers_before = headers_text(old.manifest, was) if old and was else None
    headers_after = headers_text(new.manifest, now) if new and now else None
    values: dict[Part, tuple[str | None, str | None]] = {
        "html": (was.html if was else None, now.html if now else None),
        "text": (was.text if was else None, now.text if now else None),
        "subject": (was.subject if was else None, now.subject if now else None),
        "preheader": (_preheader(was.html) if was else None, _preheader(now.html) if now else None),
        "headers": (_without_subject(headers_before), _without_subject(headers_after)),
    }
    html_before, html_after = values["html"]
    size_after = len(html_after.encode()) if html_after is not None else None
    made = MailReport(
        locale=cut(mail.locale, 300),
        example=cut(mail.example, 300),
        parts=[name for name, (one, other) in values.items() if one != other],
        subject=_words(*values["subject"]),
        preheader=_words(*values["preheader"]),
        size_before=len(html_before.encode()) if html_before is not None else None,
        size_after=size_after,
        is_clipped=(size_after or 0) > GMAIL_CLIPS_AFTER_BYTES,
        failure=cut(after.failure, _SHOWN) if after and after.failure else None,
    )
    return MailDiff(mail, before, after, headers_before, headers_after, made)


def _preheader(html: str) -> str | None:
    found = _PREHEADER.search(html, 0, _PREHEADER_WITHIN)
    return " ".join(unescape(found[1]).split()) if found else None


def _without_subject(headers: str | None) -> str | None:
    return headers.partition("\n")[2] if headers is not None else None


def _words(before: str | None, after: str | None) -> Words:
    return Words(
        before=cut(before, _SHOWN) if before is not None else None,
        after=cut(after, _SHOWN) if after is not None else None,
    )
