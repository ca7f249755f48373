"""Build what searches and repeats messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.messages.cancel import Canceller
from service.messages.resend import Resender
from service.messages.search import MessageSearch
from service.messages.search_indexer import SearchIndexer
from service.sending.build import Sending
from service.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """What finds messages, sends them again and cancels them."""

    message_search: MessageSearch
    search_indexer: SearchIndexer
    resender: Resender
    canceller: Canceller


def build_messages(
    database: Database, sending: Sending, clock: Callable[[], datetime], *, pseudonym_key: bytes
) -> Messages:
    """Build; a resend is written by the group commit of sending."""
    return Messages(
        message_search=MessageSearch(database, pseudonym_key, clock),
        search_indexer=SearchIndexer(database, clock),
        resender=Resender(database, sending.group_commit, sending.message_factory, clock),
        canceller=Canceller(database, clock),
    )
