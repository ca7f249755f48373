"""The ASGI application: routes, limits, and the headers of every response."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from anyio import CapacityLimiter
from litestar import Litestar, Router
from litestar.datastructures import State

from service.bootstrap import PreviewServices, Services
from service.config.settings import Settings
from service.models import Trigger
from service.web.api import (
    admin_actions,
    deployment_replay,
    deployments,
    dev_mailbox,
    health,
    messages,
    openapi,
    previews,
    recipients,
    send,
    source_webhook,
    suppressions,
    templates,
    unsubscribe,
    webhook,
)
from service.web.api.source_webhook import SourceWebhook
from service.web.auth import Guard, count_open_request
from service.web.body_budget import BodyBudget
from service.web.dependencies import parts
from service.web.edge import with_edge
from service.web.head import with_head
from service.web.pages import error_pages
from service.web.pages.assets import Assets
from service.web.pages.editor_form import EDITOR_FORM_BYTES
from service.web.pages.i18n import Languages
from service.web.pages.navigation import SECTIONS
from service.web.pages.render import environment
from service.web.pages.request_context import signed_in
from service.web.pages.routes import CONTROLLERS
from service.web.pages.server_sent_events import Streams
from service.web.request_rates import RequestRates

#: base64 grows by 4/3; JSON around it, and variables, need some more.
_BASE64_GROWTH = 4 / 3
_ROOM_BESIDE_ATTACHMENTS_BYTES = 4 * 1024 * 1024

#: A form of a page is a few fields, or the variables of a test message.
FORM_BYTES = 64 * 1024

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(services: Services, *, lifespan: Lifespan | None = None, is_port_local: bool = True) -> Litestar:
    """Return the ASGI application of these services; `lifespan` runs the worker and the watcher beside it.

    `is_port_local`: the port listens on loopback alone, so that in development it is open to programs on this machine.
    """
    routes = [*_api(services), *CONTROLLERS]
    sections = [one for one in SECTIONS if services.mailbox is not None or one[0] != "/admin/mailbox"]
    site = Site(services, sections, preview_guard=signed_in())
    app = application(site, routes, lifespan=lifespan or _nothing)

    @cache  # built at the first request; the routes do not change
    def document() -> dict[str, Any]:
        return openapi.document(_api(services), parts(services), server=services.settings.email_public_url)

    app.state.openapi = document
    app.state.source_webhook = _source_webhook(services)
    app.state.is_port_local = is_port_local and services.settings.smtp_host is None
    return app


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between the service and a preview: entries of the navigation, who may see templates."""

    services: PreviewServices
    sections: Sequence[tuple[str, str]]
    preview_guard: Guard


def application(site: Site, routes: Sequence[Any], *, lifespan: Lifespan) -> Litestar:
    """Return an application of these routes, with what every page needs. A body is a form, unless a route says more."""
    services, assets = site.services, Assets()
    state = {
        "services": services,
        "sections": site.sections,
        "preview_guard": site.preview_guard,
        "assets": assets,
        "languages": Languages(ZoneInfo(services.settings.email_timezone)),
        "markup": environment(assets),
        "streams": Streams(),
        "rates": RequestRates(services.settings),
        "reserved_threads": CapacityLimiter(4),
    }
    app = Litestar(
        route_handlers=list(routes),
        state=State(state),
        dependencies=parts(services),
        guards=[count_open_request],
        lifespan=[lifespan],
        request_max_body_size=FORM_BYTES,
        exception_handlers={Exception: error_pages.respond},
        openapi_config=None,
        logging_config=None,
    )
    budget = BodyBudget(services.settings.max_bodies_bytes, _largest_body_bytes(services.settings))
    app.asgi_handler = with_edge(with_head(app.asgi_handler), budget)
    return app


def _api(services: Services) -> list[Any]:
    """Return the routes of the API, which the OpenAPI document describes."""
    # Only the limit on the body differs, and Litestar has it by layer, not by request.
    batches = Router(
        "/", route_handlers=[send.BatchController], request_max_body_size=services.settings.max_batch_bytes
    )
    hooks = Router("/", route_handlers=[webhook.WebhookController], request_max_body_size=webhook.MAX_BODY_BYTES)
    source_hooks = Router(
        "/",
        route_handlers=[source_webhook.SourceWebhookController],
        request_max_body_size=source_webhook.MAX_BODY_BYTES,
    )
    replays = Router(
        "/",
        route_handlers=[deployment_replay.DeploymentReplayController],
        request_max_body_size=deployment_replay.MAX_BODY_BYTES,
    )
    api = Router(
        "/api/v1/email",
        request_max_body_size=_message_bytes(services.settings),
        route_handlers=[
            send.SendController,
            batches,
            hooks,
            source_hooks,
            replays,
            templates.TemplateController,
            messages.MessageController,
            suppressions.SuppressionController,
            recipients.RecipientController,
            deployments.DeploymentController,
            deployments.HoldController,
            previews.PreviewController,
            admin_actions.AdminActionController,
            unsubscribe.UnsubscribeController,
        ],
    )
    with_mailbox = [dev_mailbox.MailboxController] if services.mailbox is not None else []
    return [api, health.HealthController, *with_mailbox]


def _source_webhook(services: Services) -> SourceWebhook:
    control, secret = services.deployments.deployment_control, services.settings.email_templates_git_webhook_secret
    return SourceWebhook(
        secret.get_secret_value() if secret is not None and control.follows else None,
        lambda: control.look(Trigger.WEBHOOK, source_webhook.FORGE),
    )


@asynccontextmanager
async def _nothing(_: Litestar) -> AsyncIterator[None]:
    yield


def _message_bytes(settings: Settings) -> int:
    """Size of a request with one message, at most."""
    return int(settings.max_attachments_bytes * _BASE64_GROWTH) + _ROOM_BESIDE_ATTACHMENTS_BYTES


def _largest_body_bytes(settings: Settings) -> int:
    """Size of the largest body that any route takes: there must be room for one."""
    return max(_message_bytes(settings), settings.max_batch_bytes, EDITOR_FORM_BYTES, deployment_replay.MAX_BODY_BYTES)
