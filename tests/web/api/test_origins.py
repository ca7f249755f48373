"""A mail leads to its template's revision, commit, author and deployment; figures and refusals by revision."""

import email
import email.policy
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from service.models import Commit, Deployment, DeploymentState, Trigger
from service.store import deployments, template_files
from service.store.database import Transaction
from tests.support.checkouts import Checkout, write_mail
from tests.support.publishing import SECOND, URL, put
from tests.support.running import Running, eventually, running, settings_for

NAME = {"name": "Zoé"}
ID = "01a212f5-d497-74eb-b8b3-9680075c7dec"
MESSAGES = "/api/v1/email/messages"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("origins") / "checkout")
    write_mail(made.mails)
    made.commit()
    return made


@pytest.fixture(scope="module")
def service(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("state"), email_templates_dir=checkout.mails)) as started:
        yield started


def sent(service: Running, **more: Any) -> dict[str, Any]:
    """A message that has left, in detail."""
    answer = service.send("hello", "a@example.com", NAME, **more)
    assert answer.status_code == 201, answer.text
    return service.until(answer.json()["messages"][0]["id"], "sent")


def raw(service: Running, message: dict[str, Any]) -> bytes:
    return service.admin.get(f"{MESSAGES}/{message['id']}/raw").raise_for_status().content


def found(service: Running, **filters: str) -> set[str]:
    return {item["id"] for item in service.admin.get(MESSAGES, params=filters).raise_for_status().json()["items"]}


@pytest.fixture(scope="module")
def unrecorded(service: Running) -> dict[str, Any]:
    """A message from before there was a deployment."""
    return sent(service)


@pytest.fixture(scope="module")
def recorded(service: Running, unrecorded: dict[str, Any]) -> dict[str, Any]:
    """A message of a deployment that is recorded, of the second version."""
    put(service, SECOND).raise_for_status()
    catalogue, database = service.services.catalogue, service.services.database
    snapshot = catalogue.current
    assert snapshot.commit is not None
    deployment = Deployment(
        id=ID,
        source="files",
        commit=Commit(id=snapshot.commit, author="Ada <ada@example.org>", first_line="A new greeting"),
        trigger=Trigger.FILES,
        state=DeploymentState.ENDED,
        templates_count=1,
        changed_count=1,
        broken_count=0,
        compiler=1,
        created_at=service.services.clock(),
        tree=template_files.save_tree(database, {}),
    )

    def work(tx: Transaction) -> None:
        deployments.add(tx, deployment, [])
        tx.execute("UPDATE deployments SET live_at = created_at WHERE id = :id", {"id": ID})

    database.write(work)
    eventually(lambda: catalogue.name_deployment(ID, of=catalogue.current), bool)  # the watch may swap meanwhile
    return sent(service)


def test_message_names_the_commit_of_its_template(checkout: Checkout, unrecorded: dict[str, Any]) -> None:
    assert unrecorded["git_commit"] == checkout.git("log", "--reverse", "--format=%H").split()[0]


def test_message_names_commit_author_and_deployment(recorded: dict[str, Any]) -> None:
    deployment = dict(recorded["deployment"])
    assert deployment.pop("live_at").endswith("Z")
    assert deployment == {
        "id": ID,
        "commit": recorded["git_commit"],
        "author": "Ada <ada@example.org>",
        "first_line": "A new greeting",
    }


def test_header_of_a_mail_leads_to_its_row(
    service: Running, unrecorded: dict[str, Any], recorded: dict[str, Any]
) -> None:
    mail = email.message_from_bytes(raw(service, recorded), policy=email.policy.default)
    named = str(mail["X-RGZ-Template"])
    assert named == f"hello/2 {recorded['template_revision'][:12]}"
    for filters in ({"template_revision": named}, {"text": named}, {"text": f"X-RGZ-Template: {named}"}):
        ids = found(service, **filters)
        assert recorded["id"] in ids, filters
        assert unrecorded["id"] not in ids, filters
    assert found(service, text=named.replace("hello/", "other/")) == set()


def test_messages_are_listed_by_revision_deployment_and_commit(
    service: Running, unrecorded: dict[str, Any], recorded: dict[str, Any]
) -> None:
    for filters, is_both in (
        ({"template_revision": recorded["template_revision"]}, False),
        ({"template_revision": recorded["template_revision"][:12]}, False),
        ({"deployment": ID}, False),
        ({"deployment": ID[:8].upper()}, False),
        ({"commit": recorded["git_commit"]}, False),
        ({"commit": recorded["git_commit"][:7]}, False),
        ({"template_key": "hello"}, True),
    ):
        ids = found(service, **filters)
        assert (recorded["id"] in ids, unrecorded["id"] in ids) == (True, is_both), filters
    assert found(service, template_revision="0" * 12) == found(service, deployment="ffff") == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [("template_revision", "0" * 11), ("template_revision", "x" * 12), ("deployment", "%"), ("commit", "HEAD")],
)
def test_messages_filter_that_names_nothing_is_refused(service: Running, name: str, text: str) -> None:
    answer = service.admin.get(MESSAGES, params={name: text})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, name)


def test_resend_keeps_the_commit_and_deployment_of_the_original(service: Running, recorded: dict[str, Any]) -> None:
    put(service, SECOND.replace("version: 2", "version: 3")).raise_for_status()
    copy = service.admin.post(f"{MESSAGES}/{recorded['id']}/resend").raise_for_status().json()
    again = service.until(copy["id"], "sent")
    names = ("template_revision", "template_version", "git_commit", "deployment")
    assert [again[name] for name in names] == [recorded[name] for name in names]
    assert b"\r\nX-RGZ-Template: hello/2 " in raw(service, again)


def test_raw_of_a_mail_that_was_sent_without_the_header_has_its_bytes(
    service: Running, unrecorded: dict[str, Any]
) -> None:
    now = raw(service, unrecorded)
    assert hashlib.sha256(now).hexdigest() == unrecorded["wire_sha256"]
    service.services.database.write(
        lambda tx: tx.execute(
            "UPDATE email_messages SET is_template_named = FALSE WHERE id = :id", {"id": unrecorded["id"]}
        )
    )
    line = f"X-RGZ-Template: hello/1 {unrecorded['template_revision'][:12]}\r\n".encode()
    assert raw(service, unrecorded) == now.replace(line, b"")
    assert line in now


def test_versions_and_metrics_tell_what_was_sent_and_refused_by_revision(
    service: Running, recorded: dict[str, Any]
) -> None:
    current = put(service, SECOND.replace("version: 2", "version: 4")).raise_for_status().json()["revision"]
    for variables in ({}, {"name": 7}):
        assert service.send("hello", "a@example.com", variables).status_code == 422
    test = {"variables": {"name": 7}, "to": "a@example.com"}
    assert service.admin.post(f"{URL}/hello/test", json=test).status_code == 422  # a test is none of them
    assert (
        service.send("hello", "a@example.com", {}, template_revision=recorded["template_revision"]).status_code == 422
    )

    def figures() -> dict[str, Any]:
        items = service.client.get(f"{URL}/hello/versions").raise_for_status().json()["items"]
        return {item["revision"]: item["last_30_days"] or {} for item in items}

    seen = eventually(figures, lambda found: found[current].get("refused") == 2)
    assert seen[recorded["template_revision"]]["refused"] == 1
    assert seen[recorded["template_revision"]]["sent"] >= 1
    gauge = f'rgz_email_template_revision_refused{{revision="{current[:12]}",template="hello"}} 2.0\n'
    metrics = eventually(lambda: service.admin.get("/metrics").text, lambda text: gauge in text)
    assert metrics.count("\nrgz_email_template_revision_refused{") == 1  # live revisions alone
    assert "\nrgz_email_template_revision_refused 2.0\n" in service.client.get("/metrics").text
