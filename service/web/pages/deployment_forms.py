"""Forms of /admin/deployments: sync, activate, roll back, hold, lift, suspend and resume."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from litestar import Controller, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.deployments.control import DeploymentControl
from service.deployments.requests import DeploymentRequests
from service.errors import InvalidRequest, Problem
from service.models import Scope, Trigger
from service.web.auth import caller_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.request_context import form_of, page_context, signed_in

_HOME = "/admin/deployments"


class DeploymentForms(Controller):
    """What is changed from the page of deployments."""

    path = _HOME
    guards = [signed_in(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @post("/sync")
    async def sync(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: look at the template repository now."""
        await form_of(request)
        caller = caller_of(request)
        return await _done("requested", lambda: deployment_control.look(Trigger.PAGE, caller))

    @post("/rollback")
    async def roll_back(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: serve earlier revisions again, of all templates or of `key`; `to` says which, `sure=yes` confirms."""
        form, caller = await form_of(request), caller_of(request)
        if form.get("sure") != "yes":
            raise InvalidRequest("Tick the box to confirm: every process serves the earlier templates at once.")
        keys = [key for key in form.getall("key", []) if key]
        why, to = _text(form, "why"), _text(form, "to") or None
        return await _done("rolled_back", lambda: deployment_control.rollback(keys, caller, to=to, why=why))

    @post("/holds")
    async def hold(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: keep the revision of the template `key` that is served from being served, until `until` or lifted."""
        form, caller = await form_of(request), caller_of(request)
        key, why, until = _text(form, "key"), _text(form, "why"), _until(request, _text(form, "until"))
        return await _done("held", lambda: deployment_control.hold(key, caller, revision=None, why=why, until=until))

    @post("/holds/lift")
    async def lift(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: lift the hold of a `revision` of the template `key`."""
        form, caller = await form_of(request), caller_of(request)
        key, revision = _text(form, "key"), _text(form, "revision") or None
        return await _done("lifted", lambda: deployment_control.unhold(key, caller, revision=revision))

    @post("/suspend")
    async def suspend(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: let newer commits wait, until `until` or until sync is resumed."""
        form, caller = await form_of(request), caller_of(request)
        why, until = _text(form, "why"), _until(request, _text(form, "until"))
        return await _done("suspended", lambda: deployment_control.suspend(caller, why=why, until=until))

    @post("/resume")
    async def resume(self, request: AnyRequest, deployment_control: Provided[DeploymentControl]) -> Redirect:
        """Form: serve newer commits again."""
        await form_of(request)
        caller = caller_of(request)
        return await _done("resumed", lambda: deployment_control.resume(caller))

    @post("/{deployment_id:str}/activate")
    async def activate(
        self,
        request: AnyRequest,
        deployment_id: FromPath[str],
        deployment_requests: Provided[DeploymentRequests],
    ) -> Redirect:
        """Form: serve a deployment that waits or was served before; `anyway=yes` also one that is held back."""
        form, caller = await form_of(request), caller_of(request)
        why, anyway = _text(form, "why"), form.get("anyway") == "yes"
        return await _done(
            "activated", lambda: deployment_requests.activate(deployment_id, caller, why=why, anyway=anyway)
        )


async def _done(word: str, work: Callable[[], object]) -> Redirect:
    await anyio.to_thread.run_sync(work)
    return Redirect(f"{_HOME}?done={word}", status_code=303)


def _text(form: Any, name: str) -> str:
    return str(form.get(name) or "").strip()


def _until(request: AnyRequest, text: str) -> datetime | None:
    """A time of a form, which is in EMAIL_TIMEZONE. Raises InvalidRequest."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(page_context(request).language.with_offset(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest("This is no time.", [Problem("/until", "until", "write a day and a time")]) from None
