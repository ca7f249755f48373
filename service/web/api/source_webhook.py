"""POST /source/webhook: a forge says that the template repository has changed."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping

import anyio.to_thread
import structlog
from litestar import Controller, post
from litestar.params import RawBody
from typing_extensions import TypedDict

from service.errors import NotFound, NotVerified
from service.models import Caller, Scope
from service.web.dependencies import AnyRequest

_log = structlog.get_logger("deployments")

#: The body is verified and never parsed; what a forge tells of a push is some kilobytes for each commit.
MAX_BODY_BYTES = 1024 * 1024
#: A process asks for a look no more often than this, seconds; the syncer bounds fetches of all together.
LOOK_EVERY_S = 1.0
#: By whom a look is asked for that a webhook causes.
FORGE = Caller(id="webhook", name="webhook", scopes=frozenset({Scope.DEPLOY}))


class SourceWebhook:
    """Verifies that a forge knows the secret, and asks for a look at the repository. For one event loop.

    Calls of the same moment share one look, which begins after each of them: so a push is never missed, and a flood of
    calls writes one row a second. `look` blocks; without a `secret` nothing is accepted.
    """

    def __init__(
        self,
        secret: str | None,
        look: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._secret = secret.encode() if secret else None
        self._look = look
        self._clock = clock
        self._sleep = sleep
        self._last_s: float | None = None
        self._next: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check the signature of GitHub or Gitea, or the token of GitLab. Raises NotVerified, NotFound.

        GitHub: "Validating webhook deliveries"; GitLab: "Webhooks", X-Gitlab-Token; Gitea: "Webhooks",
        X-Gitea-Signature.
        """
        if self._secret is None:
            raise NotFound(
                "No webhook is accepted here: EMAIL_TEMPLATES_GIT_URL and EMAIL_TEMPLATES_GIT_WEBHOOK_SECRET are not"
                " both set."
            )
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest().encode()
        given = [
            (headers.get("x-hub-signature-256"), b"sha256=" + signature),
            (headers.get("x-gitlab-token"), self._secret),
            (headers.get("x-gitea-signature"), signature),
        ]
        present = [(one.encode("latin-1", "replace"), right) for one, right in given if one is not None]
        if not present:
            raise NotVerified("The signature is missing.")
        # Each that is there must be right: Gitea sends GitHub's header too.
        if not all(hmac.compare_digest(one, right) for one, right in present):
            raise NotVerified("The signature is wrong.")

    async def look(self) -> None:
        """Ask for a look that begins from now on. Raises Conflict, StoreBusy.

        Returns once it is stored, or at once where it has to wait for its turn: a poll makes up for one that is lost.
        """
        if self._next is not None:
            return
        is_first = self._last_s is None or self._last_s + LOOK_EVERY_S <= self._clock()
        task = self._next = asyncio.create_task(self._look_in_turn())
        self._running.add(task)
        task.add_done_callback(self._ended)
        if is_first:
            await asyncio.shield(task)

    async def _look_in_turn(self) -> None:
        if self._last_s is not None:
            await self._sleep(max(self._last_s + LOOK_EVERY_S - self._clock(), 0.0))
        self._next = None  # who calls from here on may know of a later push
        self._last_s = self._clock()
        await anyio.to_thread.run_sync(self._look)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("look_not_asked_for", reason=str(error))


class SourceWebhookAnswer(TypedDict):
    """The repository will be looked at."""

    status: str


class SourceWebhookController(Controller):
    """Open to everybody: the signature says who speaks."""

    @post("/source/webhook", status_code=202, opt={"webhook": True})
    async def receive(self, request: AnyRequest, body: RawBody) -> SourceWebhookAnswer:
        """Look at the template repository now, because GitHub, GitLab or Gitea says that it changed.

        `X-Hub-Signature-256`, `X-Gitlab-Token` or `X-Gitea-Signature` proves that the secret
        `EMAIL_TEMPLATES_GIT_WEBHOOK_SECRET` is known. 202, also for a ping; 403 without a right signature, 404 where no
        secret is set or templates come from a directory. The body is not read further; many calls lead to one fetch in
        5 seconds.
        """
        webhook: SourceWebhook = request.app.state.source_webhook
        webhook.verify(request.headers, body)
        await webhook.look()
        return {"status": "accepted"}
