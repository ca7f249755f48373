"""Accept and deliver mails inside the test's process, and read their status and events."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.bootstrap import Services
from service.models import Status
from service.models.requests import SendRequest
from tests.support.samples import ADMIN, WELCOME


def accept(services: Services, *recipients: str) -> list[str]:
    """Accept one mail for each recipient, and return the ids of the messages."""
    return [
        services.sending.acceptor.send(SendRequest(to=to, template_key="onboarding_welcome", variables=WELCOME), ADMIN)
        .messages[0]
        .id
        for to in recipients
    ]


def drain(services: Services) -> int:
    return services.delivery.deliverer.drain(threading.Event())


@contextmanager
def draining(services: Services) -> Iterator[threading.Thread]:
    """Deliver in a thread, which must end after the block."""
    thread = threading.Thread(target=drain, args=(services,), name="drain")
    thread.start()
    yield thread
    thread.join(60)
    assert not thread.is_alive(), "the drain did not end"


def status(services: Services, message_id: str) -> Status:
    return services.messages.message_search.detail(message_id, ADMIN).message.status


def kinds(services: Services, message_id: str) -> list[str]:
    return [event.type.value for event in services.messages.message_search.detail(message_id, ADMIN).events]
