"""GET /recipients/{address}, POST /recipients/{address}/erase: everything about one person, or nothing any more."""

from dataclasses import asdict
from typing import Any, TypedDict, cast

from litestar import Controller, get, post
from litestar.params import FromPath

from service.auth.admin_actions import AdminActions
from service.messages.search import MessageDetail
from service.models import Caller, Scope
from service.recipients.data_requests import DataRequests, ErasureResult, MessageRecord, RecipientData
from service.web.api.messages import MessageAnswer, as_detail
from service.web.api.query import EraseQuery
from service.web.api.suppressions import SuppressionAnswer, as_json
from service.web.auth import require
from service.web.dependencies import Provided, typed_query


class RecordedMessage(MessageAnswer):
    """A message with its content; null once it is anonymised."""

    variables: dict[str, Any]
    html: str | None
    text: str | None


class RecipientAnswer(TypedDict):
    """Everything that is stored about one person."""

    address: str
    messages: list[RecordedMessage]
    suppressions: list[SuppressionAnswer]


class ErasureAnswer(TypedDict):
    """What an erasure did; with `dry_run` what it would do."""

    dry_run: bool
    messages_anonymised: int
    messages_cancelled: int
    messages_leaving: int
    suppressions_anonymised: int
    files_deleted: int
    files_waiting: int
    is_suppressed: bool
    is_scrubbed: bool


class RecipientController(Controller):
    """What a person may ask for."""

    path = "/recipients"
    guards = [require(Scope.ADMIN)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/{address:str}", sync_to_thread=True)
    def export(
        self,
        address: FromPath[str],
        data_requests: Provided[DataRequests],
        admin_actions: Provided[AdminActions],
        caller: Provided[Caller],
    ) -> RecipientAnswer:
        """Export everything about one person: messages with timeline, content and variables, and suppressions."""
        found = data_requests.export(address)
        admin_actions.person_exported(address, caller)
        return as_known(found)

    @post("/{address:str}/erase", status_code=200, sync_to_thread=True, dependencies={"asked": typed_query(EraseQuery)})
    def erase(
        self,
        address: FromPath[str],
        asked: Provided[EraseQuery],
        data_requests: Provided[DataRequests],
        caller: Provided[Caller],
    ) -> ErasureAnswer:
        """Erase a person's data from every row now.

        Queued messages are cancelled; a keyed hash of the address stays suppressed (`suppress=false`: it doesn't).
        `dry_run=true` only counts.
        """
        if asked.dry_run:
            return as_answer(data_requests.preview_erasure(address), is_dry=True)
        return as_answer(data_requests.erase(address, caller, suppresses=asked.suppress), is_dry=False)


def as_answer(erased: ErasureResult, *, is_dry: bool) -> ErasureAnswer:
    """The result of an erasure as JSON values."""
    return cast(ErasureAnswer, {"dry_run": is_dry, **asdict(erased)})


def as_known(known: RecipientData) -> RecipientAnswer:
    """The data stored about a recipient as JSON values."""
    return {
        "address": known.address,
        "messages": [_recorded(item) for item in known.messages],
        "suppressions": [as_json(item) for item in known.suppressions],
    }


def _recorded(item: MessageRecord) -> RecordedMessage:
    return {
        **as_detail(MessageDetail(item.message, item.events, item.origin, item.attachments)),
        "variables": dict(item.variables),
        "html": item.body.html if item.body else None,
        "text": item.body.text if item.body else None,
    }
