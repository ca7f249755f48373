"""Versions of a template: sent ones stay readable and render the same after the file has changed."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.store import revisions
from service.templates.build_tools import render_limits
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.template import Template
from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.publishing import CREATE, SECOND, URL, etag, put
from tests.support.running import Running, eventually, running, settings_for

NAME = {"name": "Zoé <b>&\"'"}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    write_mail(made.mails)
    made.commit()
    return made


@pytest.fixture
def service(tmp_path: Path, checkout: Checkout) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=checkout.mails), works=False) as started:
        yield started


def versions(service: Running, key: str = "hello") -> list[dict[str, Any]]:
    answer = service.client.get(f"{URL}/{key}/versions").raise_for_status().json()
    assert answer.keys() == {"items", "total"}
    assert answer["total"] == len(answer["items"])
    items: list[dict[str, Any]] = answer["items"]
    return items


def sent(service: Running) -> dict[str, Any]:
    answer = service.send("hello", "a@example.com", NAME)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_versions_of_a_template_that_never_sent_are_the_current_one_alone(service: Running, checkout: Checkout) -> None:
    [item] = versions(service)
    assert item == {
        "version": 1,
        "revision": etag(service).strip('"'),
        "commit": checkout.git("rev-parse", "HEAD"),
        "dirty": False,
        "first_sent_at": None,
        "current": True,
        "last_30_days": {"accepted": 0, "sent": 0, "bounced": 0, "complaints": 0, "refused": 0},
    }


def test_versions_that_were_deployed_are_listed_newest_first_and_the_current_one_is_marked(service: Running) -> None:
    first = sent(service)["template"]["revision"]
    [item] = versions(service)
    assert (item["revision"], item["current"]) == (first, True)
    assert item["first_sent_at"].endswith("Z")
    second = put(service, SECOND).json()
    sent(service)
    third = put(service, SECOND.replace("version: 2", "version: 3")).json()
    found = [(item["version"], item["revision"], item["commit"], item["current"]) for item in versions(service)]
    assert found[:2] == [
        (3, third["revision"], third["commit"], True),
        (2, second["revision"], second["commit"], False),
    ]
    assert (found[2][0], found[2][1]) == (1, first)
    eventually(lambda: service.services.catalogue.current.deployment_id, bool)  # the third one is recorded
    put(service, MAIL)
    listed = eventually(lambda: versions(service), lambda items: len(items) == 3)
    assert [(item["version"], item["current"]) for item in listed] == [(3, False), (2, False), (1, True)]


def test_version_shows_what_it_was(service: Running) -> None:
    before = service.client.get(f"{URL}/hello").json()
    sent(service)
    put(service, SECOND)
    shown = service.client.get(f"{URL}/hello/versions/1").raise_for_status().json()
    same = ("key", "version", "revision", "commit", "subject", "source", "variables", "examples", "locales", "category")
    assert {name: shown[name] for name in same} == {name: before[name] for name in same}
    assert (shown["source"], shown["current"]) == (MAIL, False)
    assert shown["first_sent_at"]
    current = service.client.get(f"{URL}/hello/versions/2").raise_for_status().json()
    assert (current["source"], current["current"], current["first_sent_at"]) == (SECOND, True, None)


def test_version_shows_its_latest_revision(service: Running) -> None:
    sent(service)
    changed = MAIL.replace("A mail for the tests", "The same version, another text")
    put(service, changed)
    sent(service)
    put(service, SECOND)
    assert service.client.get(f"{URL}/hello/versions/1").json()["source"] == changed
    assert [item["version"] for item in versions(service)] == [2, 1, 1]


@pytest.mark.parametrize("number", ["0", "2", "-1", "2147483648", "9" * 30, "latest", "1.0"])
def test_version_that_is_none_is_not_found(service: Running, number: str) -> None:
    answer = service.client.get(f"{URL}/hello/versions/{number}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_versions_of_an_unknown_template_are_not_found(service: Running) -> None:
    assert service.client.get(f"{URL}/missing/versions").status_code == 404
    assert service.client.get(f"{URL}/missing/versions/1").status_code == 404


def test_versions_outlive_their_template(service: Running) -> None:
    sent(service)
    service.admin.delete(f"{URL}/hello", headers={"If-Match": "*"}).raise_for_status()
    [item] = versions(service)
    assert (item["version"], item["current"]) == (1, False)
    assert service.client.get(f"{URL}/hello/versions/1").json()["source"] == MAIL
    again = service.admin.put(f"{URL}/hello", json={"source": SECOND}, headers=CREATE)
    assert again.status_code == 201
    assert [item["version"] for item in versions(service)] == [2, 1]


def test_archived_revision_sends_the_same_bytes_after_the_file_has_changed(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sent(service)
    put(service, SECOND)
    # Whatever asks for a compilation from here on fails.
    for method in ("compile", "compile_all"):
        monkeypatch.setattr(IsolatedCompiler, method, _never)
    later = service.send("hello", "a@example.com", NAME, template_version=1)
    assert later.status_code == 201, later.text
    assert later.json()["template"] == first["template"]
    pages = [f"/api/v1/email/messages/{one['messages'][0]['id']}" for one in (first, later.json())]
    for part in ("html", "text"):
        before, after = (service.admin.get(f"{page}/{part}").raise_for_status().content for page in pages)
        assert before == after


def _never(*_: object, **__: object) -> None:
    raise AssertionError("an archived revision was compiled")


def test_archived_revision_renders_in_a_process_that_cannot_compile(service: Running, tmp_path: Path) -> None:
    revision = sent(service)["template"]["revision"]
    kept = revisions.revision(service.services.database, revision)
    assert kept is not None
    here = Template.from_archive(kept.archive, limits=render_limits(service.services.settings)).render(NAME)
    (tmp_path / "archive").write_bytes(kept.archive)
    script = textwrap.dedent("""
        import json, sys, types
        from pathlib import Path

        class Poison(types.ModuleType):
            def __getattr__(self, name):
                def never(*arguments, **more):
                    raise AssertionError(f"{self.__name__}.{name} was called")
                return never

        for name in ("service.templates.compiler", "service.templates.compile_variant"):
            sys.modules[name] = None
        for name in ("mjml", "premailer"):
            sys.modules[name] = Poison(name)
        from service.templates.runtime.sandbox import RenderLimits
        from service.templates.template import Template

        template = Template.from_archive(Path(sys.argv[1]).read_bytes(), limits=RenderLimits(2_000_000, 100_000))
        rendered = template.render(json.loads(sys.argv[2]))
        print(json.dumps([rendered.subject, rendered.html, rendered.text]))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "archive"), json.dumps(NAME)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [here.subject, here.html, here.text]
