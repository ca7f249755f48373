"""/templates: listing, showing, trying, publishing, and the versions that were sent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, NotRequired, TypeAlias, TypedDict, cast

from litestar import Controller, Response, delete, get, post, put
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from service.models import Caller, Scope
from service.models.requests import PublishRequest, SendRequest, TestRequest
from service.monitoring.template_stats import Counted, RevisionFigures, TemplateStats
from service.sending.acceptor import Acceptor
from service.templates.authoring.publisher import Condition, TemplatePublisher
from service.templates.descriptions import TemplateDescriber, TemplateView
from service.templates.preview import Previewer
from service.templates.proposed_templates import ProposedTemplates
from service.templates.source.remote_push import PushedCommit
from service.web.api import send
from service.web.api.messages import as_time
from service.web.api.send import SentMessage
from service.web.auth import require
from service.web.dependencies import AnyRequest, Provided, json_body

Key: TypeAlias = Annotated[str, PathParameter(examples=[Example(value="onboarding_welcome")])]
Number: TypeAlias = Annotated[int, PathParameter(examples=[Example(value=1)])]

_IF_NONE_MATCH = {"If-None-Match": "the ETag that the caller has; 304 where it is still the state"}
_CONDITIONS = {
    "If-Match": "the ETag of the state that is changed",
    "If-None-Match": "`*`: only where there is none yet",
}


class TemplateSummary(TypedDict):
    """A template as the list shows it; what can't be known of one that was never valid is null or left out."""

    key: str
    broken: bool
    findings: int
    subject: str | None
    description: NotRequired[str]
    category: str | None
    stream: NotRequired[str]
    version: int | None
    active: bool
    revision: str | None


class TemplatesAnswer(TypedDict):
    """All templates."""

    items: list[TemplateSummary]
    total: int


class FindingAnswer(TypedDict):
    """A mistake or warning in a template."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    message: str
    hint: str | None


class AttachmentsRule(TypedDict):
    """Which files may or must go with a template; `required` is a truth value, or the endings that must be there."""

    allowed: bool
    types: list[str]
    required: bool | list[str]


class DeliveryRule(TypedDict):
    """How a template's mail is delivered."""

    priority: str
    attempts: int | None
    sla_seconds: int | None
    expires_after_seconds: int | None


#: `from` is a word of Python, so that this field can't be written as a class.
_From = TypedDict("_From", {"from": NotRequired[str | None]})


class _Described(_From):
    """What a revision says of itself."""

    description: NotRequired[str]
    stream: NotRequired[str]
    locales: NotRequired[list[str]]
    variables: NotRequired[dict[str, Any]]
    required_variables: NotRequired[list[str]]
    attachments: NotRequired[AttachmentsRule]
    delivery: NotRequired[DeliveryRule]
    reply_to: NotRequired[str | None]
    copies: NotRequired[list[str]]
    examples: NotRequired[dict[str, dict[str, Any]]]
    source: NotRequired[str]
    commit: NotRequired[str | None]
    dirty: NotRequired[bool]


class TemplateAnswer(_Described):
    """A template with its files; what belongs to a revision is missing where none ever compiled."""

    key: str
    broken: bool
    findings: list[FindingAnswer]
    subject: str | None
    category: str | None
    version: int | None
    active: bool
    revision: str | None
    files: dict[str, str]
    created_by: str | None
    updated_by: str | None


class RevisionFiguresAnswer(TypedDict):
    """What became of a revision's mails of the last 30 days, tests left out; `refused` counts requests (422)."""

    accepted: int
    sent: int
    bounced: int
    complaints: int
    refused: int


class VersionSummary(TypedDict):
    """A revision as the list of versions shows it."""

    version: int
    revision: str
    commit: str | None
    dirty: bool
    first_sent_at: str | None
    current: bool
    last_30_days: RevisionFiguresAnswer | None


class VersionsAnswer(TypedDict):
    """Every revision that was deployed or sent, and the current one."""

    items: list[VersionSummary]
    total: int


class VersionAnswer(_Described):
    """The latest revision of a version."""

    key: str
    subject: str
    category: str
    version: int
    active: bool
    revision: str
    first_sent_at: str | None
    current: bool


class PushedAnswer(TypedDict):
    """A change that was pushed to the repository of the templates, and is served once it is merged and deployed.

    `compare_url` is the page of the forge that shows it, null where none is known.
    """

    key: str
    commit: str
    branch: str
    compare_url: str | None


class DeletedAnswer(TypedDict):
    """A template that is gone, and the commit that deleted it."""

    key: str
    commit: str | None


class TestAnswer(TypedDict):
    """A rendered template; `message` and `messages` where it was also sent."""

    subject: str
    html: str
    text: str
    locale: str
    size_bytes: int
    findings: list[FindingAnswer]
    message: NotRequired[SentMessage]
    messages: NotRequired[list[SentMessage]]


class TemplateController(Controller):
    """Shows templates, tries them and publishes them."""

    path = "/templates"

    @get("/", guards=[require(Scope.READ)], sync_to_thread=False)
    def list_templates(self, template_describer: Provided[TemplateDescriber]) -> TemplatesAnswer:
        """List all templates by key.

        A template that doesn't compile is listed with its findings and its last good revision.
        """
        items = cast("list[TemplateSummary]", template_describer.summaries())
        return {"items": items, "total": len(items)}

    @get(
        "/{key:str}",
        guards=[require(Scope.READ)],
        sync_to_thread=True,
        opt={"headers": _IF_NONE_MATCH},
        responses={304: ResponseSpec(None, description="Not changed.")},
    )
    def show_template(
        self, request: AnyRequest, key: Key, template_describer: Provided[TemplateDescriber]
    ) -> Response[TemplateAnswer]:
        """Show one template: variables as JSON Schema, examples, source, findings and authors.

        The ETag is its revision; `If-None-Match` is answered with 304.
        """
        shown = template_describer.show(key)
        if _etag(shown) in _tags(request.headers.get("if-none-match", "")):
            return Response(None, status_code=304, headers=_headers(shown))  # type: ignore[arg-type]  # no content
        return Response(_content(shown), headers=_headers(shown))

    @put(
        "/{key:str}",
        guards=[require(Scope.ADMIN)],
        sync_to_thread=True,
        dependencies={"asked": json_body(PublishRequest)},
        opt={"headers": _CONDITIONS},
        responses={
            201: ResponseSpec(TemplateAnswer, generate_examples=False, description="Created."),
            202: ResponseSpec(PushedAnswer, generate_examples=False, description="Pushed, and not served yet."),
        },
    )
    def publish_template(
        self,
        request: AnyRequest,
        key: Key,
        asked: Provided[PublishRequest],
        publisher: Provided[TemplatePublisher],
        template_describer: Provided[TemplateDescriber],
        caller: Provided[Caller],
    ) -> Response[TemplateAnswer] | Response[PushedAnswer]:
        """Publish a template: check it, write it, commit it, serve it.

        `source`; where wanted `text`, `locales`, `locale_texts`, `examples` and `message`. `If-Match` with the ETag
        changes a template, `If-None-Match: *` creates one (201); one of them is required. Nothing is written before the
        check passes. Where the directory is in git, the change is a commit.

        Where a repository is followed (`EMAIL_TEMPLATES_GIT_URL`), the answer is 202: the change is pushed to a branch,
        `rgz-email/KEY-N` or with `EMAIL_TEMPLATES_PUSH=direct` the followed one, with `commit`, `branch` and
        `compare_url`. A push that is refused is a 409 with the server's words.
        """
        published = publisher.put(key, asked, caller, _condition(request))
        if published.pushed is not None:
            return Response(_pushed(key, published.pushed), status_code=202)
        shown = template_describer.show(key)
        if published.is_new:
            location = {"Location": f"/api/v1/email/templates/{key}"}
            return Response(_content(shown), status_code=201, headers=_headers(shown) | location)
        return Response(_content(shown), status_code=200, headers=_headers(shown))

    @delete(
        "/{key:str}",
        guards=[require(Scope.ADMIN)],
        status_code=200,
        sync_to_thread=True,
        opt={"headers": {"If-Match": _CONDITIONS["If-Match"]}},
        responses={202: ResponseSpec(PushedAnswer, generate_examples=False, description="Pushed, and not served yet.")},
    )
    def delete_template(
        self, request: AnyRequest, key: Key, publisher: Provided[TemplatePublisher], caller: Provided[Caller]
    ) -> Response[DeletedAnswer] | Response[PushedAnswer]:
        """Delete a template, with `If-Match`.

        The deletion is a commit where the directory is in git. Sent messages and their versions stay readable.

        Where a repository is followed, the deletion is pushed like a change of `PUT`, and answered with 202.
        """
        published = publisher.delete(key, caller, _condition(request))
        if published.pushed is not None:
            return Response(_pushed(key, published.pushed), status_code=202)
        return Response(DeletedAnswer(key=key, commit=published.commit), status_code=200)

    @get("/{key:str}/versions", guards=[require(Scope.READ)], sync_to_thread=True)
    def list_versions(
        self, key: Key, template_describer: Provided[TemplateDescriber], template_stats: Provided[TemplateStats]
    ) -> VersionsAnswer:
        """List every revision that was deployed or sent, newest first, and the current one.

        `last_30_days` has its figures; null while they are counted for the first time.
        """
        counted = template_stats.get()
        items = [
            cast(VersionSummary, _with_times(item) | {"last_30_days": _figures(item["revision"], counted)})
            for item in template_describer.versions(key)
        ]
        return {"items": items, "total": len(items)}

    @get("/{key:str}/versions/{number:int}", guards=[require(Scope.READ)], sync_to_thread=True)
    def show_version(self, key: Key, number: Number, template_describer: Provided[TemplateDescriber]) -> VersionAnswer:
        """Show the latest revision of a version: source, variables, when it first sent."""
        return cast(VersionAnswer, _with_times(template_describer.version(key, number)))

    @post(
        "/{key:str}/test",
        guards=[require(Scope.ADMIN)],
        status_code=200,
        sync_to_thread=True,
        dependencies={"asked": json_body(TestRequest, when_empty=b"{}")},
        opt={"is_body_required": False},
    )
    def test_template(
        self,
        key: Key,
        asked: Provided[TestRequest],
        previewer: Provided[Previewer],
        acceptor: Provided[Acceptor],
        proposed_templates: Provided[ProposedTemplates],
        caller: Provided[Caller],
    ) -> TestAnswer:
        """Render a template without storing anything; with `to` also send it, marked as a test.

        `{}` renders the example. The answer holds `subject`, `html`, `text`, `size_bytes` and `findings`. With
        `template_ref` the template is that of an open pull request.
        """
        proposed = proposed_templates.choose(asked.template_ref, key) if asked.template_ref is not None else None
        given: dict[str, Any] = {"variables": asked.variables, "example": asked.example, "locale": asked.locale}
        if proposed is None:
            preview = previewer.render(key, **given)
        else:
            preview = previewer.render_other(proposed.template, findings=proposed.item.findings, **given)
        accepted = None
        if asked.to is not None:
            trial = SendRequest(
                to=asked.to,
                template_key=key,
                template_ref=asked.template_ref,
                locale=asked.locale,
                variables=dict(preview.variables),
                attachments=asked.attachments,
            )
            accepted = acceptor.send(trial, caller, is_test=True)
        answer: TestAnswer = {
            "subject": preview.rendered.subject,
            "html": preview.rendered.html,
            "text": preview.rendered.text,
            "locale": preview.rendered.locale,
            "size_bytes": preview.size_bytes,
            "findings": [cast(FindingAnswer, asdict(finding)) for finding in preview.findings],
        }
        if accepted is not None:
            sent = send.as_json(accepted)["messages"]
            answer["message"] = sent[0]
            answer["messages"] = sent
        return answer


def _content(shown: TemplateView) -> TemplateAnswer:
    return cast(TemplateAnswer, shown.content)


def _pushed(key: str, pushed: PushedCommit) -> PushedAnswer:
    return {"key": key, "commit": pushed.commit, "branch": pushed.branch, "compare_url": pushed.compare_url}


def _condition(request: AnyRequest) -> Condition:
    headers = request.headers
    return Condition.of(*(", ".join(headers.getall(name, [])) for name in ("if-match", "if-none-match")))


def _etag(shown: TemplateView) -> str:
    return f'"{shown.state}"'


def _headers(shown: TemplateView) -> dict[str, str]:
    return {"ETag": _etag(shown), "Cache-Control": "no-cache"}


def _figures(revision: str, counted: Counted | None) -> RevisionFiguresAnswer | None:
    if counted is None:
        return None
    figures = counted.by_revision.get(revision) or RevisionFigures("", revision)
    return {
        "accepted": figures.accepted,
        "sent": figures.sent,
        "bounced": figures.bounced,
        "complaints": figures.complaints,
        "refused": figures.refused,
    }


def _with_times(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "first_sent_at": as_time(item["first_sent_at"])}


def _tags(header: str) -> Sequence[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]
