"""The forge is told what became of each deployed commit: failures as surely as successes, also after a restart."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.errors import ConfigurationError
from service.models import OPERATOR, Commit, Deployment, DeploymentState, Trigger
from service.store import commit_statuses, deployments, template_files, template_source
from service.store.database import Database
from service.worker import DeploymentLoops
from tests.support import rows
from tests.support.checkouts import MAIL, changed
from tests.support.following import Following, follow
from tests.support.forge_api import ForgeApi, forge_api
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository

BROKEN = MAIL.replace("</mj-text>", "")
REQUIRED = MAIL.replace("    required: false\n", "")


@pytest.fixture
def api() -> Iterator[ForgeApi]:
    with forge_api() as made:
        yield made


@pytest.fixture
def settings(api: ForgeApi, tmp_path: Path) -> dict[str, Any]:
    token_file = tmp_path / "token"
    token_file.write_text("token-of-the-tests", encoding="utf-8")
    return {
        "email_templates_git_status": "github",
        "email_templates_git_status_url": api.url,
        "email_templates_git_token_file": token_file,
        "email_public_url": "https://mail.example/",
    }


@pytest.fixture
def told(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport, settings: dict[str, Any]
) -> Iterator[Following]:
    with follow(repository, tmp_path, clock, transport, **settings) as made:
        yield made


def tell(following: Following) -> None:
    statuses = following.services.deployments.commit_statuses
    assert statuses is not None
    statuses.step(threading.Event())


def test_forge_is_told_what_is_live_held_and_activated(told: Following, api: ForgeApi) -> None:
    told.sync()
    tell(told)
    tell(told)
    (first,) = api.requests
    assert first.path.endswith(f"/statuses/{told.commit}")
    assert first.body == {
        "state": "success",
        "context": "rgz-email/production",
        "description": "live: 2 templates, 2 changed",
        "target_url": f"https://mail.example/admin/deployments/{told.live.id}",
    }

    told.repository.write("hello", REQUIRED)
    commit = told.repository.push("Required")
    told.sync()
    tell(told)
    held = api.requests[1]
    assert held.path.endswith(f"/statuses/{commit}")
    assert held.state == "failure"
    assert held.body["description"].startswith("held: hello/template.mjml:8")
    assert len(held.body["description"]) <= 140

    waits = deployments.waiting(told.services.database, since=told.live.created_at)
    assert waits is not None
    told.services.deployments.deployment_control.activate(waits.id, OPERATOR, why="billing is ready")
    tell(told)
    tell(told)
    assert api.states == ["success", "failure", "success"]
    assert api.requests[2].path == held.path


def test_forge_is_told_a_failure_when_a_template_of_what_is_live_is_broken(told: Following, api: ForgeApi) -> None:
    told.repository.write("hello", BROKEN)
    told.repository.push("Broken \N{ENVELOPE}")
    told.sync()
    tell(told)
    (posted,) = api.requests
    assert posted.state == "failure"
    assert "1 broken: hello/template.mjml:" in posted.body["description"]


def test_forge_is_told_that_a_commit_waits_under_the_name_of_the_environment(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    api: ForgeApi,
    settings: dict[str, Any],
) -> None:
    changes = settings | {
        "email_templates_git_sync": "manual",
        "email_environment": "staging",
        "email_recipients": "everyone",
    }
    with follow(repository, tmp_path, clock, transport, **changes) as following:
        following.sync()
        tell(following)
    (posted,) = api.requests
    assert (posted.state, posted.body["context"]) == ("pending", "rgz-email/staging")
    assert posted.body["description"] == "waiting: Sync is manual: a person starts it."


def test_forge_is_told_after_it_failed_and_the_service_was_restarted(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    api: ForgeApi,
    settings: dict[str, Any],
) -> None:
    api.answers = [(500, b""), (500, b""), (503, b"")]
    with follow(repository, tmp_path, clock, transport, **settings) as following:
        following.sync()
        with capture_logs() as logs:
            for _ in range(3):
                tell(following)  # too early, but for the first one
            clock.forward(seconds=5)
            tell(following)
            clock.forward(seconds=9)
            tell(following)
        assert len(api.requests) == 2
        assert [one["log_level"] for one in logs if one["event"] == "status_not_posted"] == ["warning"]
        following.services.deployments.leave()
    for _ in range(2):
        with follow(repository, tmp_path, clock, transport, **settings) as following:
            following.sync()
            tell(following)
            clock.forward(seconds=5)
            tell(following)
            following.services.deployments.leave()
    assert len(api.requests) == 4  # a 503 and then the success; the second start has nothing to tell
    assert api.requests[3].state == "success"


def test_forge_that_refuses_for_good_is_asked_seldom_and_logged_once(told: Following, api: ForgeApi) -> None:
    api.answers = [(404, b"")] * 3
    told.sync()
    with capture_logs() as logs:
        for _ in range(7):
            tell(told)
            told.clock.forward(seconds=100)
            told.services.deployments.sync(threading.Event())
    refused = [one for one in logs if one["event"] == "status_not_posted"]
    assert [one["log_level"] for one in refused] == ["error"]
    assert "token-of-the-tests" not in str(logs)
    assert len(api.requests) == 3


def test_forge_is_not_told_by_a_process_that_does_not_follow_the_repository(told: Following, api: ForgeApi) -> None:
    told.sync()
    told.services.deployments.leave()
    tell(told)
    database = told.services.database
    database.write(lambda tx: template_source.acquire_lease(tx, "another", now=told.clock(), lease_s=60))
    tell(told)
    assert not api.requests


def test_forge_is_told_by_the_loops_of_a_worker(told: Following, api: ForgeApi) -> None:
    told.sync()
    loops = DeploymentLoops(told.services, "worker")
    loops.start()
    try:
        assert api.called.wait(30)
    finally:
        loops.stop()
        loops.join(10)
    assert api.states == ["success"]


def test_forge_is_told_of_each_commit_only_what_is_newest(database: Database) -> None:
    tree = template_files.save_tree(database, {})

    def add(name: str, commit: str | None, state: DeploymentState, minutes: int, source: str = "https://g/m") -> None:
        deployment = Deployment(
            id=name, source=source, commit=Commit(id=commit) if commit else None, trigger=Trigger.POLL, state=state,
            templates_count=1, changed_count=1, broken_count=0, compiler=1, created_at=rows.after(minutes), tree=tree,
        )  # fmt: skip
        database.write(lambda tx: deployments.add(tx, deployment, []))

    held, waits = DeploymentState.HELD, DeploymentState.WAITING
    add("early", "e", held, -10)
    add("old", "a", held, 1)
    add("new", "a", waits, 2)
    add("before", "b", held, 3)
    add("live", "b", waits, 4)
    database.write(lambda tx: deployments.activate(tx, "live", in_place_of=None, now=rows.after(5)))
    add("behind", "b", held, 6)
    add("other", "c", held, 7, "https://elsewhere/m")
    add("files", None, held, 8)
    add("last", "d", waits, 9)

    def untold(limit: int = 10) -> list[str]:
        return commit_statuses.untold(database, "https://g/m", since=rows.NOW, limit=limit)

    assert untold() == ["last", "live"]  # `new` ended when `live` went live
    assert untold(1) == ["last"]
    database.write(lambda tx: commit_statuses.note_told(tx, "live", "held"))
    assert untold() == ["last", "live"]  # its state is another one by now
    database.write(lambda tx: commit_statuses.note_told(tx, "live", "live"))
    assert untold() == ["last"]


def test_start_is_refused_when_nothing_says_where_the_forge_is(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport, settings: dict[str, Any]
) -> None:
    wrong = settings | {"email_templates_git_status_url": None}
    with (
        pytest.raises(ConfigurationError, match="EMAIL_TEMPLATES_GIT_STATUS_URL must be given"),
        follow(repository, tmp_path, clock, transport, **wrong),
    ):
        pass


def test_commit_that_is_served_again_is_told_again(told: Following, api: ForgeApi) -> None:
    told.sync()
    first = told.commit
    tell(told)
    told.repository.write("hello", changed("Faux"))
    told.repository.push("Wrong words")
    told.sync()
    tell(told)
    told.services.deployments.deployment_control.rollback([], OPERATOR, to=None, why="wrong words")
    tell(told)
    assert api.states == ["success"] * 3
    assert api.requests[2].path.endswith(f"/statuses/{first}")
    assert api.requests[2].body["target_url"].endswith(told.live.id)
