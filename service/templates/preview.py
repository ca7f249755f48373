"""Previews: a template is rendered as a send would render it, and nothing is stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.config.settings import Settings
from service.errors import Finding, InvalidRequest, NotFound, Problem
from service.mail import addresses
from service.mail.mime import Mail, build
from service.models import Rendered
from service.templates import rendering
from service.templates.catalogue import Catalogue, state_of
from service.templates.template import Template


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendering, its variables, and the template's findings."""

    rendered: Rendered
    variables: Mapping[str, Any]
    findings: Sequence[Finding]

    @property
    def size_bytes(self) -> int:
        """The size of the HTML and text parts together, in UTF-8."""
        return len(self.rendered.html.encode()) + len(self.rendered.text.encode())


@dataclass(frozen=True, slots=True)
class Previewer:
    """Renders templates of a catalogue."""

    catalogue: Catalogue
    settings: Settings

    def render(
        self,
        key: str,
        *,
        variables: Mapping[str, Any] | None = None,
        example: str | None = None,
        locale: str | None = None,
    ) -> Preview:
        """Render a template with the example, or with `variables` and the example's values of required ones they lack.

        Raises NotFound for an unknown template or example, InvalidRequest with every mistake, TemplateInvalid for
        a template of which no revision ever compiled.
        """
        template = self._template(key)
        values = complete(template, variables, example)
        return self.fill(template, values, locale=locale, findings=self.catalogue.current.entries[key].findings)

    def render_other(
        self,
        template: Template,
        *,
        variables: Mapping[str, Any] | None = None,
        example: str | None = None,
        locale: str | None = None,
        findings: Sequence[Finding] = (),
    ) -> Preview:
        """Render a template that is not served, as `render` does. Raises NotFound and InvalidRequest."""
        return self.fill(template, complete(template, variables, example), locale=locale, findings=findings)

    def example(self, template: Template, name: str | None) -> Mapping[str, Any]:
        """The values of an example; without a name, of the first one. Raises NotFound for an unknown name."""
        return complete(template, None, name)

    def fill(
        self, template: Template, values: Mapping[str, Any], *, locale: str | None = None, findings: Sequence[Finding]
    ) -> Preview:
        """Render this template object with these values. Raises InvalidRequest with every mistake."""
        if problems := rendering.check_variables(template, values, self.settings):
            raise InvalidRequest("The template can't be rendered with these variables.", problems)
        rendered = rendering.render(template, values, locale)
        return Preview(rendered, values, findings)

    def state(self, key: str) -> str:
        """A string that changes with the template's files or its dependencies; "" for an unknown template."""
        snapshot = self.catalogue.current
        entry = snapshot.entries.get(key)
        if entry is None:
            return ""
        digests = [snapshot.files.digest(path) or "" for path in snapshot.files.folder(key)]
        return " ".join([state_of(entry), *digests])

    def eml(self, preview: Preview, *, now: datetime) -> bytes:
        """The preview as a whole mail (RFC 5322), addressed to preview@example.com."""
        sender = self.settings.smtp_from_email
        mail = Mail(
            rfc_message_id=f"preview@{addresses.parse(sender).domain}",
            date_at=now.replace(microsecond=0),
            from_header=preview.rendered.from_header or addresses.header(self.settings.smtp_from_name, sender),
            to="preview@example.com",
            reply_to=preview.rendered.reply_to or self.settings.smtp_reply_to,
            subject=preview.rendered.subject,
            html=preview.rendered.html,
            text=preview.rendered.text,
            attachments=(),
        )
        return build(mail).encode("quoted-printable")

    def example_request(self, key: str, *, to: str) -> str:
        """The JSON body of a send with the template's example. Raises NotFound."""
        variables = complete(self._template(key), None, None)
        return json.dumps({"to": to, "template_key": key, "variables": variables}, ensure_ascii=False)

    def _template(self, key: str) -> Template:
        try:
            return self.catalogue.current.get(key)
        except KeyError:
            raise NotFound(f"There is no template {key!r}.") from None


def complete(template: Template, variables: Mapping[str, Any] | None, example: str | None) -> Mapping[str, Any]:
    """The variables of a preview: the example's, or `variables` and the example's values of required ones they lack.

    Raises NotFound for an unknown example.
    """
    if example is not None and example not in template.examples:
        known = ", ".join(template.examples) or "none"
        problem = Problem("/example", "unknown_example", f"known are: {known}")
        raise NotFound(f"The template {template.key!r} has no example {example!r}.", [problem])
    values: Mapping[str, Any] = template.examples.get(example or "default") or next(
        iter(template.examples.values()), {}
    )
    if variables is None:
        return values
    required = template.manifest.schema.get("required", [])
    missing = {name: values[name] for name in required if name not in variables and name in values}
    return {**missing, **variables}
