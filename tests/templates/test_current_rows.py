"""Each template that is served has its row in email_templates, whether it has sent or not."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.bootstrap import Services, build
from service.models.requests import SendRequest
from service.store.database.contract import Row
from tests.support.running import eventually, running, settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import Clock, ScriptedTransport

MAIL = """\
---
subject: "Bonjour {{ name }}"
description: A mail for the tests.
category: support
version: 1
variables:
  name: {type: string, example: Zoé}
---
<mjml><mj-body><mj-section><mj-column><mj-text>Bonjour {{ name }}</mj-text></mj-column></mj-section></mj-body></mjml>
"""


def write(root: Path, key: str, source: str = MAIL) -> None:
    (root / key).mkdir(parents=True, exist_ok=True)
    (root / key / "template.mjml").write_text(source, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "templates", "hello")
    write(tmp_path / "templates", "broken", "<mjml>")
    return tmp_path / "templates"


@pytest.fixture
def services(root: Path, tmp_path: Path, clock: Clock, transport: ScriptedTransport) -> Iterator[Services]:
    settings = settings_for(tmp_path, email_templates_dir=root)
    with closing(build(settings, transport=transport, clock=clock, boottime=clock.boottime)) as built:
        yield built


def rows(services: Services) -> dict[str, Row]:
    return {row["key"]: row for row in services.database.read("SELECT * FROM email_templates")}


def test_current_rows_are_those_of_all_templates_that_are_served(services: Services, root: Path, clock: Clock) -> None:
    current_rows = services.templates.current_rows
    current_rows.save(threading.Event())
    [row] = rows(services).values()
    served = services.catalogue.current.get("hello")
    assert (row["key"], row["revision"], row["version"]) == ("hello", served.revision, 1)
    assert (row["subject"], row["required_variables"], row["is_active"]) == ("Bonjour {{ name }}", '["name"]', True)
    assert "Bonjour" in row["html_content"] and "Bonjour" in row["text_content"]

    clock.forward(days=1)
    current_rows.save(threading.Event())
    assert rows(services)["hello"] == row  # nothing has changed

    write(root, "hello", MAIL.replace("version: 1", "version: 2\nactive: false"))
    write(root, "broken")
    services.catalogue.refresh()
    current_rows.save(threading.Event())
    after = rows(services)
    assert {key: (one["version"], one["is_active"]) for key, one in after.items()} == {
        "hello": (2, False),
        "broken": (1, True),
    }
    assert (after["hello"]["created_at"], after["hello"]["updated_at"]) == (row["created_at"], clock())

    write(root, "broken", "<mjml>")  # its last good revision is served
    services.catalogue.refresh()
    current_rows.save(threading.Event())
    assert rows(services) == after


def test_current_rows_need_no_revision_that_has_sent_and_a_send_keeps_theirs(services: Services) -> None:
    services.templates.current_rows.save(threading.Event())
    before = rows(services)["hello"]
    assert services.database.read("SELECT * FROM email_template_revisions") == []
    request = SendRequest(to="a@example.com", template_key="hello", variables={"name": "Zoé"})
    services.sending.acceptor.send(request, ADMIN)
    assert rows(services)["hello"] == before
    assert [row["key"] for row in services.database.read("SELECT * FROM email_template_revisions")] == ["hello"]


def test_current_rows_follow_what_a_running_service_serves(root: Path, tmp_path: Path) -> None:
    with running(settings_for(tmp_path, email_templates_dir=root), works=False) as service:
        eventually(lambda: set(rows(service.services)), lambda keys: keys == {"hello"})
        write(root, "later")
        eventually(lambda: set(rows(service.services)), lambda keys: keys == {"hello", "later"})
