"""template_version and template_revision: sending with any revision that was ever deployed."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from service.models import Hold
from service.store import revisions
from service.templates.template import Template
from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.publishing import SECOND, URL, put
from tests.support.running import Running, running, settings_for

NAME = {"name": "Zoé"}
THIRD = SECOND.replace("version: 2", "version: 3")


def deploy(service: Running, key: str) -> str:
    """Archive what is served, as a deployment does, without a send; returns the revision."""
    template = service.services.catalogue.current.get(key)
    built = service.services.templates.revisions.build(template, service.services.clock())
    service.services.database.write(lambda tx: revisions.save_revision(tx, built))
    return template.revision


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("pins") / "checkout")
    for key in ("hello", "gone", "off"):
        write_mail(made.mails, key)
    made.commit()
    return made


@pytest.fixture(scope="module")
def service(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("state")
    with running(settings_for(directory, email_templates_dir=checkout.mails), works=False) as started:
        yield started


@pytest.fixture(scope="module")
def deployed(service: Running, checkout: Checkout) -> Mapping[str, str]:
    """Revisions by name: hello in three versions, of which the third is served; gone and off are not served."""
    found = {"v1": deploy(service, "hello")}
    put(service, SECOND).raise_for_status()
    found["v2"] = deploy(service, "hello")
    found["v3"] = put(service, THIRD).raise_for_status().json()["revision"]
    found["gone"] = deploy(service, "gone")
    service.admin.delete(f"{URL}/gone", headers={"If-Match": "*"}).raise_for_status()
    put(service, MAIL.replace("version: 1", "version: 1\nactive: false"), "off").raise_for_status()
    found["off"] = deploy(service, "off")
    return found


def answer(service: Running, key: str = "hello", **pins: Any) -> tuple[int, Any]:
    got = service.send(key, "a@example.com", NAME, **pins)
    return got.status_code, got.json()


def refused(service: Running, key: str = "hello", **pins: Any) -> tuple[str, str]:
    """Pointer and code of the only problem of a 422."""
    status, body = answer(service, key, **pins)
    assert status == 422, body
    [problem] = body["errors"]
    assert "no mail was ever sent" not in str(body)
    return problem["pointer"], problem["code"]


@pytest.mark.parametrize(
    ("name", "version", "subject"),
    [("v1", 1, "Bonjour Zoé"), ("v2", 2, "Bonsoir Zoé"), ("v3", 3, "Bonsoir Zoé")],
)
def test_pin_sends_with_a_revision_that_was_deployed_and_has_not_sent(
    service: Running, deployed: Mapping[str, str], name: str, version: int, subject: str
) -> None:
    revision = deployed[name]
    for pin in (
        {"template_version": version},
        {"template_revision": revision},
        {"template_revision": revision[:12]},
        {"template_revision": revision[:12], "template_version": version},
    ):
        status, body = answer(service, **pin)
        assert status == 201, body
        assert body["template"] == {"key": "hello", "version": version, "revision": revision}
        assert service.message(body["messages"][0]["id"])["subject"] == subject


def test_pin_sends_with_a_template_that_is_gone(
    service: Running, checkout: Checkout, deployed: Mapping[str, str]
) -> None:
    for pin in ({"template_version": 1}, {"template_revision": deployed["gone"]}):
        status, body = answer(service, "gone", **pin)
        assert (status, body["template"]["revision"]) == (201, deployed["gone"])
    detail = service.message(body["messages"][0]["id"])
    assert detail["deployment"] is None
    assert checkout.git("show", f"{detail['git_commit']}:mails/gone/template.mjml") == MAIL.strip()
    assert answer(service, "gone")[0] == 404
    batch = {"template_key": "gone", "template_version": 1, "messages": [{"to": "b@example.com", "variables": NAME}]}
    assert service.client.post("/api/v1/email/send/batch", json=batch).status_code == 201


def test_pin_that_leads_nowhere_is_refused_with_its_place(service: Running, deployed: Mapping[str, str]) -> None:
    assert refused(service, template_version=9) == ("/template_version", "unknown_version")
    assert refused(service, template_revision="0" * 12) == ("/template_revision", "unknown_revision")
    assert refused(service, template_revision=deployed["gone"]) == ("/template_revision", "other_template")
    pointer, code = refused(service, template_revision=deployed["v1"], template_version=2)
    assert (pointer, code) == ("/template_revision", "contradiction")
    assert refused(service, template_version=1, template_revision=deployed["v3"])[1] == "contradiction"
    assert answer(service, "missing", template_version=1)[0] == 404
    assert answer(service, "missing", template_revision=deployed["v1"])[0] == 404


@pytest.mark.parametrize("text", ["", "abc", "0" * 11, "0" * 65, "z" * 12, "HEAD", "A" * 64, 7, True])
def test_pin_that_is_no_digest_is_refused_with_its_place(service: Running, text: object) -> None:
    assert refused(service, template_revision=text)[0] == "/template_revision"


def test_pin_that_several_revisions_begin_with_is_ambiguous(service: Running, deployed: Mapping[str, str]) -> None:
    twin = deployed["v1"][:12] + "0" * 52
    kept = revisions.revision(service.services.database, deployed["v1"])
    assert kept is not None
    elsewhere = Template.from_archive(kept.archive, limits=service.services.catalogue.current.get("hello").limits)
    built = service.services.templates.revisions.build(elsewhere, service.services.clock())
    copy = type(built)(twin, "hello", 7, None, False, built.archive, None, built.created_at)
    service.services.database.write(lambda tx: revisions.save_revision(tx, copy))
    assert refused(service, template_revision=twin[:12]) == ("/template_revision", "ambiguous")
    status, body = answer(service, template_revision=deployed["v1"])
    assert (status, body["template"]["revision"]) == (201, deployed["v1"])
    delete = "DELETE FROM email_template_revisions WHERE revision = :revision"
    service.services.database.write(lambda tx: tx.execute(delete, {"revision": twin}))


def test_pin_of_an_inactive_template_is_a_conflict(service: Running, deployed: Mapping[str, str]) -> None:
    assert answer(service, "off", template_revision=deployed["off"])[0] == 409
    assert answer(service, "off", template_version=1)[0] == 409


def test_pin_of_a_held_revision_is_refused_until_the_hold_ends(service: Running, deployed: Mapping[str, str]) -> None:
    hold = Hold(
        key="hello", revision=deployed["v2"], held_by="ops", why="wrong amount", since_at=service.services.clock()
    )
    database = service.services.database
    database.write(
        lambda tx: tx.insert(
            "template_holds",
            ("key", "revision", "held_by", "why", "since_at"),
            [(hold.key, hold.revision, hold.held_by, hold.why, hold.since_at)],
        )
    )
    assert refused(service, template_revision=deployed["v2"]) == ("/template_revision", "held")
    assert refused(service, template_version=2) == ("/template_version", "unknown_version")
    database.write(
        lambda tx: tx.execute("UPDATE template_holds SET held_until = :now", {"now": service.services.clock()})
    )
    assert answer(service, template_version=2)[0] == 201


def test_pin_leaves_the_current_row_of_the_template_alone(service: Running, deployed: Mapping[str, str]) -> None:
    deploy(service, "hello")
    assert answer(service, template_revision=deployed["v1"])[0] == 201
    rows = service.services.database.read("SELECT revision FROM email_templates WHERE key = 'hello'")
    assert rows == [{"revision": deployed["v3"]}]


def test_pins_load_an_archived_template_once(
    service: Running, deployed: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(service, template_revision=deployed["v1"])[0] == 201
    monkeypatch.setattr(Template, "from_archive", None)  # is called no more
    assert answer(service, template_revision=deployed["v1"][:20])[0] == 201
    assert answer(service, template_version=1)[0] == 201


def test_idempotency_key_tells_two_pins_apart(service: Running, deployed: Mapping[str, str]) -> None:
    def send(**pins: str) -> int:
        body = {"to": "a@example.com", "template_key": "hello", "variables": NAME, **pins}
        headers = {"Idempotency-Key": "pin"}
        return service.client.post("/api/v1/email/send", json=body, headers=headers).status_code

    assert [send(template_revision=deployed[name]) for name in ("v1", "v1", "v3")] == [201, 201, 422]
