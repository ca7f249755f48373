"""A mail's whole way on each database and queue, with real servers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.running import running, settings_for
from tests.support.samples import WELCOME


@contextmanager
def database_of_its_own(url: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a database on the same server, and what shuts it: nobody stays connected, nobody comes in again."""

    def execute(*statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def shut() -> None:
        execute(
            "ALTER DATABASE away ALLOW_CONNECTIONS false",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'",
        )

    execute("CREATE DATABASE away TEMPLATE template0")
    try:
        yield url.replace("/postgres?", "/away?"), shut
    finally:
        execute("DROP DATABASE away WITH (FORCE)")


@pytest.mark.parametrize(
    ("database", "queue"),
    [(None, None), ("postgresql_url", None), ("postgresql_url", "postgresql_url"), (None, "valkey_url")],
    ids=["sqlite", "postgresql", "postgresql-twice", "valkey"],
)
def test_mail_is_accepted_sent_found_and_sent_again(
    request: pytest.FixtureRequest, tmp_path: Path, database: str | None, queue: str | None
) -> None:
    chosen = {
        "database_url": request.getfixturevalue(database) if database else None,
        "queue_url": request.getfixturevalue(queue) if queue else None,
    }
    with running(settings_for(tmp_path, **chosen)) as service:
        headers = {"Idempotency-Key": "once"}
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        first = service.client.post("/api/v1/email/send", json=body, headers=headers)
        assert first.status_code == 201, first.text
        assert service.client.post("/api/v1/email/send", json=body, headers=headers).json() == first.json()
        message_id = first.json()["messages"][0]["id"]
        message = service.until(message_id, "sent")
        assert [event["type"] for event in message["events"]] == ["accepted", "attempted", "sent"]
        again = service.admin.post(f"/api/v1/email/messages/{message_id}/resend").json()
        service.until(again["id"], "sent")
        assert service.admin.get("/api/v1/email/messages", params={"to": "A@example.com"}).json()["total"] == 2
        for page in ("", f"/messages/{message_id}", "/messages?text=tech*&status=sent", "/recipients/a@example.com"):
            assert service.admin.get(f"/admin{page}").status_code == 200
        assert len(service.mails("a@example.com", wait_s=0)) == 2
        assert service.client.get("/readyz").json() == {"status": "ready"}


def test_database_that_is_away_makes_the_service_unavailable_and_stores_nothing(
    tmp_path: Path, postgresql_url: str
) -> None:
    with (
        database_of_its_own(postgresql_url) as (url, shut),
        running(settings_for(tmp_path, database_url=url)) as service,
    ):
        assert service.client.get("/readyz").status_code == 200
        shut()
        answer = service.send("onboarding_welcome", "a@example.com", WELCOME)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert service.client.get("/readyz").json() == {"status": "unavailable"}
        assert service.client.get("/healthz").status_code == 200
