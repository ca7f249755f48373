"""GET /recipients/{address}, POST /recipients/{address}/erase: everything about one person, or nothing any more."""

from dataclasses import asdict
from typing import Any

import anyio.to_thread
from litestar import Controller, Request, get, post
from litestar.params import FromPath

from service.messages.search import MessageDetail
from service.models import Scope
from service.recipients.data_requests import ErasureResult, MessageRecord, RecipientData
from service.web.api.messages import as_detail
from service.web.api.query import parameters, truth
from service.web.api.suppressions import as_json
from service.web.auth import caller_of, require, services_of


class RecipientController(Controller):
    """What a person may ask for."""

    path = "/recipients"

    @get("/{address:str}", guards=[require(Scope.ADMIN)])
    async def export(self, request: Request[Any, Any, Any], address: FromPath[str]) -> dict[str, Any]:
        """Export everything about one person: messages with timeline, content and variables, and suppressions."""
        return as_known(await anyio.to_thread.run_sync(services_of(request).data_requests.export, address))

    @post("/{address:str}/erase", guards=[require(Scope.ADMIN)], status_code=200)
    async def erase(self, request: Request[Any, Any, Any], address: FromPath[str]) -> dict[str, Any]:
        """Erase a person's data from every row now.

        Queued messages are cancelled; a keyed hash of the address stays suppressed (`suppress=false`: it doesn't).
        `dry_run=true` only counts.
        """
        given = parameters(request, frozenset({"dry_run", "suppress"}))
        suppresses = truth(given.get("suppress", "true"), "suppress")
        persons, caller = services_of(request).data_requests, caller_of(request)
        if truth(given.get("dry_run", "false"), "dry_run"):
            return as_answer(await anyio.to_thread.run_sync(persons.preview_erasure, address), is_dry=True)
        done = await anyio.to_thread.run_sync(lambda: persons.erase(address, caller, suppresses=suppresses))
        return as_answer(done, is_dry=False)


def as_answer(erased: ErasureResult, *, is_dry: bool) -> dict[str, Any]:
    """The result of an erasure as JSON values."""
    return {"dry_run": is_dry, **asdict(erased)}


def as_known(known: RecipientData) -> dict[str, Any]:
    """The data stored about a recipient as JSON values."""
    return {
        "address": known.address,
        "messages": [_written(item) for item in known.messages],
        "suppressions": [as_json(item) for item in known.suppressions],
    }


def _written(item: MessageRecord) -> dict[str, Any]:
    story = MessageDetail(item.message, item.events, item.attachments)
    return as_detail(story) | {
        "variables": item.variables,
        "html": item.body.html if item.body else None,
        "text": item.body.text if item.body else None,
    }
