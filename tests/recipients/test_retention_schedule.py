"""The worker runs the retention purge once a day."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from service.bootstrap import Services, build
from service.models.requests import SendRequest
from service.worker import PURGE_AT_MINUTE, Worker
from tests.support.canaries import Canaries, transport_of, write_templates
from tests.support.running import eventually, settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import Clock


def test_retention_schedule_purges_once_a_day_at_its_hour(tmp_path: Path, clock: Clock, canaries: Canaries) -> None:
    settings = settings_for(tmp_path, email_templates_dir=write_templates(tmp_path / "templates"))
    transport = transport_of(canaries)
    with closing(build(settings, transport=transport, clock=clock, boottime=clock.boottime)) as services:
        variables = {"name": "Ann", "sender": "Bob"}
        request = SendRequest(to="ann@example.com", template_key="plain", variables=variables)
        message_id = services.sending.acceptor.send(request, ADMIN).messages[0].id
        worker = Worker(services)
        at = datetime(2026, 2, 21, 5, int(PURGE_AT_MINUTE), tzinfo=UTC)
        [ring] = services.queue.read_periodic(at)
        assert services.queue.read_periodic(at.replace(minute=int(PURGE_AT_MINUTE) + 1)) == []
        worker.start()
        try:
            eventually(lambda: state(services, message_id), lambda found: found[0] == "sent")
            services.queue.enqueue(ring)  # the first of this database: nothing is old enough
            eventually(lambda: purges(services), lambda found: found == 1)
            clock.forward(days=40)
            services.queue.enqueue(ring)
            eventually(lambda: purges(services), lambda found: found == 2)
            clock.forward(days=40)
            services.queue.enqueue(ring)
            eventually(lambda: purges(services), lambda found: found == 3)
            clock.forward(days=11)
            services.queue.enqueue(ring)
            eventually(lambda: state(services, message_id), lambda found: found[1] is not None)
        finally:
            worker.stop()


def state(services: Services, message_id: str) -> tuple[str, datetime | None]:
    message = services.messages.message_search.detail(message_id, ADMIN).message
    return message.status.value, message.anonymised_at


def purges(services: Services) -> int:
    return len(services.database.read("SELECT id FROM purges"))
