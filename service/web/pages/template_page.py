"""GET /admin/templates/{key}: a template's rendered mail, its parts, source and findings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.params import FromPath

from service.bootstrap import PreviewServices
from service.errors import Finding, InvalidRequest, NotFound, Problem, TemplateInvalid
from service.mail.neutral_html import emulated
from service.templates.authoring.publisher import TemplatePublisher
from service.templates.preview import Preview
from service.web.auth import preview_services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages import mail_frame, variable_form
from service.web.pages.render import part, show
from service.web.pages.request_context import can_preview
from service.web.pages.variable_form import PREFIX, Field

VIEWS = ("mail", "text", "html", "headers", "source", "versions")


@dataclass(frozen=True, slots=True)
class Choice:
    """The query of the page: example, language, colour scheme, and values for variables."""

    example: str | None
    locale: str | None
    scheme: str
    given: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Choice":
        """Parse a query; of a repeated name one value counts."""
        given = {name: value for name, value in query.items() if name.startswith(PREFIX)}
        scheme = "dark" if query.get("scheme") == "dark" else "light"
        return cls(query.get("example") or None, query.get("locale") or None, scheme, given)

    def query(self, **changes: str) -> str:
        """Return a query string of this choice with some changes; "" removes a parameter."""
        mine = {"example": self.example or "", "locale": self.locale or "", "scheme": self.scheme, **self.given}
        shown = {name: value for name, value in {**mine, **changes}.items() if value or name.startswith(PREFIX)}
        return urlencode(shown)


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """A template rendered with values; `preview` is None if it can't be rendered, and `problems` lists why."""

    preview: Preview | None
    fields: Sequence[Field]
    problems: Sequence[Problem]


class TemplatePageController(Controller):
    """The page of a template, and its mail for a frame."""

    path = "/admin/templates/{key:str}"
    guards = [can_preview()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def template(
        self, request: AnyRequest, key: FromPath[str], publisher: Provided[TemplatePublisher | None] = None
    ) -> Response[str]:
        """Page: one template: its mail wide and narrow, light and dark, text, HTML, headers, source with findings.

        Parameters: `view`, `example`, `locale`, `scheme`, and `v.NAME` for a variable.
        """
        preview_services, choice = preview_services_of(request), Choice.of(request.query_params)
        view = request.query_params.get("view", VIEWS[0])
        entry = preview_services.catalogue.current.entries.get(key)
        if entry is None:
            raise NotFound(f"There is no template {key!r}.")

        def work() -> tuple[TemplatePreview | None, str]:
            filled = preview_template(preview_services, key, choice) if entry.template is not None else None
            has_headers = view == "headers" and filled is not None and filled.preview is not None
            return filled, _headers(
                preview_services, filled.preview
            ) if has_headers and filled and filled.preview else ""

        filled, headers = await anyio.to_thread.run_sync(work)
        files = preview_services.catalogue.current.folder(key)
        return show(
            request,
            "template.html",
            key=key,
            entry=entry,
            template=entry.template,
            manifest=entry.template.manifest if entry.template else None,
            view=view if view in VIEWS else VIEWS[0],
            choice=choice,
            filled=filled,
            files=files,
            headers=headers,
            numbered={name: _numbered(f"{key}/{name}", files[name], entry.findings) for name in in_order(files)},
            elsewhere=[one for one in entry.findings if one.file.removeprefix(f"{key}/") not in files],
            has_service=publisher is not None,
            sent=request.query_params.get("sent"),
            saved="saved" in request.query_params,
        )

    @get("/frame")
    async def mail(self, request: AnyRequest, key: FromPath[str]) -> Response[str]:
        """Return its HTML part, for a frame."""
        preview_services, choice = preview_services_of(request), Choice.of(request.query_params)

        def work() -> Preview | None:
            try:
                return preview_template(preview_services, key, choice).preview
            except TemplateInvalid:
                return None

        preview = await anyio.to_thread.run_sync(work)
        if preview is None:  # shown inside the frame: our own pages must not be framed
            answer = mail_frame.framed(part(request, "template_not_rendered.html"))
            answer.status_code = 422
            return answer
        return mail_frame.framed(emulated(preview.rendered.html, choice.scheme))


def preview_template(preview_services: PreviewServices, key: str, choice: Choice) -> TemplatePreview:
    """Render a template by key. Raises NotFound for an unknown template or example, TemplateInvalid if it is broken."""
    template = preview_services.catalogue.current.entries.get(key)
    if template is None:
        raise NotFound(f"There is no template {key!r}.")
    if template.template is None:
        raise TemplateInvalid(template.findings)
    return fill(preview_services, template.template, choice, template.findings)


def fill(
    preview_services: PreviewServices, template: Any, choice: Choice, findings: Sequence[Finding]
) -> TemplatePreview:
    """Render the template with the variables of the form, or with an example."""
    schema = template.manifest.schema
    before = preview_services.previewer.example(template, choice.example)
    shown = variable_form.fields(schema, before)
    values, unread = before, dict[str, str]()
    if choice.given:
        written, unread = variable_form.read(schema, choice.given, before)
        asked = {name.removeprefix(PREFIX) for name in choice.given}
        required = schema.get("required", ())
        values = {name: before[name] for name in required if name in before and name not in asked} | written
    problems: Sequence[Problem] = []
    preview = None
    if not unread:
        try:
            preview = preview_services.previewer.fill(template, values, locale=choice.locale, findings=findings)
        except InvalidRequest as error:
            problems = error.problems
    if choice.given:
        shown = variable_form.with_problems(shown, choice.given, unread, problems)
    return TemplatePreview(preview, shown, problems)


def in_order(names: Iterable[str]) -> list[str]:
    """Sort files: template.mjml first, then the other parts, then the examples."""
    return sorted(names, key=lambda name: ("/" in name, name != "template.mjml", name))


def _headers(preview_services: PreviewServices, preview: Preview) -> str:
    """Return the header section of the mail as it would be sent (RFC 5322)."""
    mail = preview_services.previewer.eml(preview, now=preview_services.clock())
    return mail.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").replace("\r\n", "\n")


def _numbered(path: str, text: str, findings: Sequence[Finding]) -> Sequence[tuple[int, str, Sequence[Finding]]]:
    """Return each line with its number and findings."""
    here = [finding for finding in findings if finding.file == path]
    return [
        (number, line, [finding for finding in here if finding.line == number])
        for number, line in enumerate(text.split("\n"), start=1)
    ]
