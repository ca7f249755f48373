"""/admin/templates/{key}/edit: the template editor, with findings and a preview of unsaved files.

It works as a plain form: edit, review, save. The script adds highlighting, completion and live findings.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.bootstrap import Services
from service.errors import Conflict, Finding, InvalidRequest, PreconditionFailed, RequestRefused, TryLater
from service.mail.neutral_html import emulated
from service.templates.authoring.draft import TemplateDrafts
from service.templates.authoring.publish_plan import PublishPlan, PublishPlanner, with_version
from service.templates.authoring.publisher import Condition
from service.templates.authoring.scaffold import scaffold_files
from service.templates.catalogue import Catalogue
from service.templates.front_matter.expectations import example_name
from service.web.auth import caller_of, services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages import mail_frame
from service.web.pages.diff import between
from service.web.pages.editor_form import EDITOR_FIELDS, EDITOR_FORM_BYTES, EditorForm
from service.web.pages.merge import Merged, merge
from service.web.pages.render import POLICY, part, show
from service.web.pages.request_context import form_of, page_context, signed_in
from service.web.pages.template_page import Choice, fill, in_order

#: CodeMirror's phrases -> keys of ours, for the editor's own panels and marks.
_PHRASES = {
    "Find": "editor.find",
    "Replace": "editor.replacement",
    "next": "editor.next",
    "previous": "editor.previous",
    "all": "editor.all",
    "match case": "editor.match_case",
    "regexp": "editor.regexp",
    "by word": "editor.by_word",
    "replace": "editor.replace",
    "replace all": "editor.replace_all",
    "close": "editor.close",
    "Completions": "editor.completions",
    "Diagnostics": "editor.findings",
    "No diagnostics": "editor.no_findings",
    "Fold line": "editor.fold",
    "Unfold line": "editor.unfold",
}


class EditorController(Controller):
    """Create and edit templates."""

    path = "/admin/templates"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class
    request_max_body_size = EDITOR_FORM_BYTES

    @get("/_new")
    async def begin(self, request: AnyRequest, catalogue: Provided[Catalogue]) -> Response[Any]:
        """Page: begin a template.

        Without `key` it asks for one; with `key` it opens the editor with a mail that works and is not saved yet.
        """
        services, key = services_of(request), request.query_params.get("key", "").strip()
        if not key:
            return show(request, "template_new.html", key="", problem=None)
        if key in catalogue.current.entries:
            return Redirect(f"/admin/templates/{key}/edit")
        try:
            texts = await anyio.to_thread.run_sync(lambda: _begun(services, key))
        except InvalidRequest as error:
            return show(request, "template_new.html", status=422, key=key, problem=error.problems[0].message)
        return _editor(request, key, EditorForm("", texts, {}, None, None, None))

    @get("/_vocabulary")
    async def vocabulary(self, drafts: Provided[TemplateDrafts]) -> Response[Mapping[str, Any]]:
        """Return components, attributes, filters and fields, for completion in the editor."""
        return Response(await anyio.to_thread.run_sync(lambda: drafts.vocabulary))

    @get("/{key:str}/edit")
    async def edit(
        self, request: AnyRequest, key: FromPath[str], publish_planner: Provided[PublishPlanner]
    ) -> Response[str]:
        """Page: the editor of a template's files."""
        state, files = publish_planner.current_files(key)
        return _editor(request, key, EditorForm(state, files, files, None, None, None))

    @post("/{key:str}/edit")
    async def write(
        self, request: AnyRequest, key: FromPath[str], publish_planner: Provided[PublishPlanner]
    ) -> Response[Any]:
        """Form of the editor, by `action`: `review` what saving would do, `save`, `edit` on, or `add` a file.

        A change by somebody else in between is a 409 that shows both changes.
        """
        form = await form_of(request, max_fields=EDITOR_FIELDS)
        written = EditorForm.of(form)
        match form.get("action"):
            case "save":
                return await self._save(request, key, written)
            case "edit":
                return _editor(request, key, written)
            case "add":
                return await self._add(request, key, written, str(form.get("added", "")).strip())
        plan = await anyio.to_thread.run_sync(lambda: publish_planner.plan(key, written.texts))
        if (plan.state or "") != written.state:
            return _conflict(request, key, written, plan)
        if not plan.works:
            return _editor(request, key, written, EditorPage(status=422, findings=plan.findings))
        return show(
            request,
            "template_review.html",
            key=key,
            written=written,
            plan=plan,
            differences=between({**written.was}, {name: text for name, text in written.all_texts.items() if text}),
            problem=None,
        )

    @post("/{key:str}/check")
    async def check(
        self, request: AnyRequest, key: FromPath[str], drafts: Provided[TemplateDrafts]
    ) -> Response[Mapping[str, Any]]:
        """Return the findings about unsaved files, as JSON."""
        form = await form_of(request, max_fields=EDITOR_FIELDS)
        written = EditorForm.of(form)
        draft = await anyio.to_thread.run_sync(lambda: drafts.of(key, written.all_texts))
        language = page_context(request).language
        errors = sum(1 for finding in draft.findings if finding.is_error)
        summary = [language.say("gallery.errors", count=errors)] if errors else []
        if warnings := len(draft.findings) - errors:
            summary.append(language.say("gallery.warnings", count=warnings))
        return Response(
            {
                "findings": [
                    {
                        "file": finding.file.removeprefix(f"{key}/"),
                        "line": finding.line,
                        "column": finding.column,
                        "severity": finding.severity,
                        "word": language.say(f"shown.severity_{finding.severity}"),
                        "code": finding.code,
                        "message": finding.message,
                        "hint": finding.hint,
                    }
                    for finding in draft.findings
                ],
                "summary": ", ".join(summary) or language.say("gallery.sound"),
                "variables": {name: _completion(one) for name, one in draft.declared.items()},
                "renders": draft.template is not None,
            },
            status_code=200,
        )

    @post("/{key:str}/draft", status_code=200)
    async def draft(self, request: AnyRequest, key: FromPath[str], drafts: Provided[TemplateDrafts]) -> Response[str]:
        """Return the mail that unsaved files make, for a frame."""
        form, services = await form_of(request, max_fields=EDITOR_FIELDS), services_of(request)
        written = EditorForm.of(form)
        scheme = "dark" if form.get("scheme") == "dark" else "light"

        def work() -> str | None:
            draft = drafts.of(key, written.all_texts)
            if draft.template is None:
                return None
            example = written.example if written.example in draft.template.examples else None
            filled = fill(services, draft.template, Choice(example, None, scheme, {}), draft.findings)
            return filled.preview.rendered.html if filled.preview else None

        html = await anyio.to_thread.run_sync(work)
        if html is None:
            return mail_frame.framed(part(request, "template_not_rendered.html"))
        return mail_frame.framed(emulated(html, scheme))

    async def _add(self, request: AnyRequest, key: str, written: EditorForm, name: str) -> Response[str]:
        """Add an empty file to the form; a file that stays empty is not saved."""
        try:
            await anyio.to_thread.run_sync(lambda: services_of(request).templates.publish_planner.plan(key, {name: ""}))
        except InvalidRequest as error:
            return _editor(request, key, written, EditorPage(status=422, problem=str(error), mistakes=_messages(error)))
        return _editor(request, key, replace(written, now={name: "", **written.now}), EditorPage(opened=name))

    async def _save(self, request: AnyRequest, key: str, written: EditorForm) -> Response[Any]:
        services, caller = services_of(request), caller_of(request)
        texts = dict(written.texts)
        if written.raises_to is not None:
            source = texts.get("template.mjml") or written.now.get("template.mjml", "")
            texts["template.mjml"] = with_version(source, written.raises_to)
        condition = Condition(frozenset({written.state})) if written.state else Condition(creates=True)
        try:
            published = await anyio.to_thread.run_sync(
                lambda: services.templates.publisher.put_files(key, texts, caller, condition, written.message)
            )
        except PreconditionFailed:
            plan = await anyio.to_thread.run_sync(lambda: services.templates.publish_planner.plan(key, written.texts))
            return _conflict(request, key, written, plan)
        except (InvalidRequest, Conflict) as error:
            return _editor(request, key, written, EditorPage(status=422, problem=str(error), mistakes=_messages(error)))
        except TryLater as error:
            return _editor(request, key, written, EditorPage(status=503, problem=str(error)))
        if published.pushed is not None:
            is_direct = services.settings.email_templates_push == "direct"
            is_served = key in services.catalogue.current.entries
            return show(
                request,
                "template_pushed.html",
                key=key,
                pushed=published.pushed,
                is_direct=is_direct,
                is_served=is_served,
            )
        return Redirect(f"/admin/templates/{key}?saved=1", status_code=303)


def _is_shown(services: Services, key: str) -> bool:
    entry = services.catalogue.current.entries.get(key)
    return entry is not None and entry.template is not None


def _messages(error: RequestRefused) -> Sequence[str]:
    return [problem.message for problem in error.problems]


def _begun(services: Services, key: str) -> Mapping[str, str]:
    return scaffold_files(services.catalogue.refresh().files, key, compiler=services.templates.compiler)


def _completion(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """Describe a variable and its properties for the editor's completion."""
    kind = one.get("type", "")
    described: dict[str, Any] = {
        "type": kind if isinstance(kind, str) else " / ".join(kind),
        "description": one.get("description", ""),
    }
    if "properties" in one:
        described["properties"] = {name: _completion(inner) for name, inner in one["properties"].items()}
    items = one.get("items")
    if isinstance(items, Mapping) and "properties" in items:
        described["items"] = {name: _completion(inner) for name, inner in items["properties"].items()}
    return described


def _conflict(request: AnyRequest, key: str, written: EditorForm, plan: PublishPlan) -> Response[str]:
    """Return the editor with both changes and their merge, after somebody else changed the template."""
    merged = merge(written.was, plan.before, {name: text for name, text in written.all_texts.items() if text})
    ahead = replace(written, state=plan.state or "", now=merged.texts, was=plan.before)
    shown = EditorPage(
        status=409,
        merged=merged,
        theirs=between(written.was, plan.before),
        ours=between(written.was, {name: text for name, text in written.all_texts.items() if text}),
    )
    return _editor(request, key, ahead, shown)


@dataclass(frozen=True, slots=True)
class EditorPage:
    """What the editor shows beside the files: what is wrong with them, and another author's change in between."""

    status: int = 200
    findings: Sequence[Finding] = ()
    problem: str | None = None
    mistakes: Sequence[str] = ()
    merged: Merged | None = None
    theirs: Sequence[Any] = ()
    ours: Sequence[Any] = ()
    opened: str = "template.mjml"


_NOTHING_WRONG = EditorPage()


def _editor(request: AnyRequest, key: str, written: EditorForm, shown: EditorPage = _NOTHING_WRONG) -> Response[str]:
    language, nonce = page_context(request).language, secrets.token_urlsafe(16)
    inside = (name for name in in_order(written.now) if name.startswith("examples/"))
    examples = [name for path in inside if (name := example_name(path))]
    page = show(
        request,
        "template_edit.html",
        status=shown.status,
        key=key,
        written=written,
        names=in_order(written.now),
        is_shown=_is_shown(services_of(request), key),
        examples=examples,
        findings=shown.findings,
        problem=shown.problem,
        mistakes=shown.mistakes,
        merged=shown.merged,
        theirs=shown.theirs,
        ours=shown.ours,
        opened=shown.opened,
        nonce=nonce,
        phrases=json.dumps({theirs: language.say(ours) for theirs, ours in _PHRASES.items()}),
    )
    # CodeMirror inserts a style sheet of its own; the nonce allows that one only.
    page.headers["Content-Security-Policy"] = POLICY.replace("style-src 'self'", f"style-src 'self' 'nonce-{nonce}'")
    return page
