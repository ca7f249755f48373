"""Mails: every example of a template in every language, rendered in a child process."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from service.errors import ChildFailed, RenderError
from service.isolation.child_processes import ChildProcesses
from service.isolation.limits import TaskLimits
from service.models import Rendered
from service.templates.front_matter.manifest import Manifest
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import Site
from service.templates.template import Template

#: The module that a fork server loads for this.
MODULE = __name__
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Each rendering has a limit of 2 s of its own; this is for all examples and languages of one template.
_LIMITS = TaskLimits(deadline_s=60.0, cpu_s=30)


@dataclass(frozen=True, slots=True, order=True)
class Mail:
    """One example of one template in one language."""

    key: str
    locale: str
    example: str

    @property
    def name(self) -> str:
        """The name in the template's folder of snapshots, without an ending: fr.default."""
        return f"{self.locale}.{self.example}"

    def __str__(self) -> str:
        return f"{self.key}/{self.name}"


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A rendered mail; where it can't be rendered, `rendered` is None and `failure` says why."""

    mail: Mail
    rendered: Rendered | None
    failure: str | None = None


def mails_of(template: Template) -> list[Mail]:
    """All mails of a template: each language, the default first, with each example."""
    return [Mail(template.key, locale, example) for locale in template.locales for example in template.examples]


@dataclass(frozen=True, slots=True)
class MailRenderer:
    """Renders all mails of a template in a child process. One that crashes or loops is a failure of that template."""

    children: ChildProcesses
    limits: RenderLimits

    def render(self, template: Template, site: Site) -> Sequence[RenderedMail]:
        """Render each example in each language, with these values: `declared_examples`, or those of an installation."""
        mails = mails_of(template)
        if not mails:
            return ()
        try:
            answer = self.children.run(
                f"{MODULE}:render_in_child", template.archive(), self.limits, site, limits=_LIMITS, is_urgent=True
            )
        except ChildFailed as error:
            return [RenderedMail(mail, None, f"it can't be rendered: {error}") for mail in mails]
        rendered = (
            (Rendered(**one) if isinstance(one, dict) else None, one if isinstance(one, str) else None)
            for one in json.loads(answer)
        )
        return [RenderedMail(mail, *one) for mail, one in zip(mails, rendered, strict=True)]


def render_in_child(archive: bytes, limits: RenderLimits, site: Site) -> bytes:
    """Render in this process, which is a child; returns JSON: what was rendered, or why not, for each mail."""
    template = Template.from_archive(archive, limits=limits).with_site(site)
    answers: list[dict[str, str | None] | str] = []
    for mail in mails_of(template):
        try:
            made = asdict(template.render(template.examples[mail.example], locale=mail.locale))
            is_text = all(text is None or text.isascii() or not _SURROGATE.search(text) for text in made.values())
            answers.append(made if is_text else "it has half of a character (a surrogate), which no mail can hold")
        except RenderError as error:
            answers.append(str(error.finding))
    return json.dumps(answers, ensure_ascii=False).encode("utf-8", "surrogatepass")


def headers_text(manifest: Manifest, rendered: Rendered) -> str:
    """What a mail says beside its two parts, a line each; `(settings)` where it leaves that to the operator."""
    delivery, attachments = manifest.delivery, manifest.attachments
    required_types = ", ".join(attachments.required) if isinstance(attachments.required, tuple) else ""
    lines = {
        "Subject": rendered.subject,
        "From": rendered.from_header,
        "Reply-To": rendered.reply_to,
        "Content-Language": rendered.locale,
        **({"Copies": ", ".join(manifest.copies)} if manifest.copies else {}),
        "Category": manifest.category,
        "Stream": manifest.stream,
        "Version": manifest.version,
        "Active": "yes" if manifest.active else "no",
        "Priority": delivery.priority,
        "Attempts": delivery.attempts,
        "Wanted within": None if delivery.sla_s is None else f"{delivery.sla_s} s",
        "Expires after": None if delivery.expires_after_s is None else f"{delivery.expires_after_s} s",
        "Attachments": ", ".join(attachments.types) if attachments.allowed else "none",
        "Attachments required": required_types or ("one at least" if attachments.required else "none"),
    }
    return "".join(f"{name}: {'(settings)' if value is None else value}\n" for name, value in lines.items())
