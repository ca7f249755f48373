"""A change by page or PUT where a repository is followed: it is pushed, and served once it is merged and deployed."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.auth.admin_actions import ActionFilter
from service.bootstrap import Services, build
from service.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed, TryLater
from service.models import Caller, Scope
from service.models.requests import PublishRequest
from service.templates.authoring.publisher import Condition, Published
from tests.support.checkouts import MAIL
from tests.support.publishing import SECOND
from tests.support.remote_repository import run_git
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository

ADA = Caller(id="k1", name="Ada <b>", scopes=frozenset({Scope.ADMIN}), via="api")


class Pushing:
    """A service that follows a repository, and what it pushes."""

    def __init__(self, repository: TemplateRepository, services: Services) -> None:
        self.repository = repository
        self.services = services

    def sync(self) -> None:
        self.services.deployments.sync(threading.Event())
        self.services.deployments.served.step()

    def state(self, key: str = "hello") -> str:
        return self.services.templates.publish_planner.current_files(key)[0]

    def put(self, source: str, key: str = "hello", *, creates: bool = False, **body: Any) -> Published:
        condition = Condition(creates=True) if creates else Condition(frozenset({self.state(key)}))
        request = PublishRequest(source=source, **body)
        return self.services.templates.publisher.put(key, request, ADA, condition)

    def branches(self) -> dict[str, str]:
        listing = run_git(self.repository.bare, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in listing.splitlines())


@pytest.fixture
def repository(tmp_path: Path) -> TemplateRepository:
    made = TemplateRepository(tmp_path / "git")
    made.write("hello")
    made.write("other")
    made.push("Two templates")
    return made


@pytest.fixture(params=["branch"])
def pushing(
    request: pytest.FixtureRequest,
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
) -> Iterator[Pushing]:
    settings = repository.settings(tmp_path, email_templates_push=request.param)
    services = build(settings, transport=transport, clock=clock, boottime=clock.boottime)
    made = Pushing(repository, services)
    made.sync()
    yield made
    services.close()


def test_put_pushes_a_branch_and_serves_nothing_until_it_is_merged(pushing: Pushing, clock: Clock) -> None:
    before = pushing.state()
    main = pushing.branches()["main"]
    published = pushing.put(SECOND, message="hello: good evening")
    assert published.pushed is not None
    assert (published.is_new, published.pushed.branch) == (False, "rgz-email/hello-1")
    assert pushing.branches() == {"main": main, "rgz-email/hello-1": published.commit}
    shown = run_git(pushing.repository.bare, "show", "-s", "--format=%an|%P|%B", published.commit or "")
    assert shown == f"Ada b|{main}|hello: good evening"
    assert pushing.state() == before
    again = pushing.put(SECOND)
    assert again.pushed is not None
    assert again.pushed.branch == "rgz-email/hello-2"

    run_git(pushing.repository.bare, "update-ref", "refs/heads/main", published.commit or "")
    clock.forward(seconds=100)
    pushing.sync()
    assert pushing.state() != before
    assert pushing.services.catalogue.current.get("hello").commit == published.commit
    noted = pushing.services.admin_actions.search(ActionFilter("template_published")).items
    assert [(one.subject, one.actor_name, (one.detail or "")[13:]) for one in noted] == [
        ("hello", "Ada <b>", "rgz-email/hello-2"),
        ("hello", "Ada <b>", "rgz-email/hello-1"),
    ]


@pytest.mark.parametrize("pushing", ["direct"], indirect=True)
def test_put_pushes_to_the_ref_itself_and_asks_for_a_look(pushing: Pushing, clock: Clock) -> None:
    published = pushing.put(MAIL, "brand_new", creates=True)
    assert published.pushed is not None
    assert (published.is_new, published.pushed.branch) == (True, "main")
    clock.forward(seconds=6)  # less than an interval
    pushing.sync()
    assert pushing.services.catalogue.current.get("brand_new").commit == published.commit


def test_put_refuses_what_does_not_fit_and_pushes_nothing(pushing: Pushing) -> None:
    before = pushing.branches()
    with pytest.raises(InvalidRequest, match="has mistakes"):
        pushing.put(MAIL.replace("</mj-text>", ""))
    with pytest.raises(PreconditionFailed):
        pushing.put(MAIL, creates=True)
    assert pushing.put(MAIL) == Published(is_new=False)
    pushing.repository.write("hello", SECOND)
    newer = pushing.repository.push("by somebody else")
    with pytest.raises(Conflict, match=f"another hello/template.mjml .commit {newer[:12]}"):
        pushing.put(MAIL.replace("Bonjour", "Salut"))
    assert pushing.branches() == before | {"main": newer}


def test_put_shows_the_words_of_a_server_that_refuses(pushing: Pushing) -> None:
    before = pushing.branches()
    hook = pushing.repository.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'the mail team decides' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Conflict, match="the mail team decides"):
        pushing.put(SECOND)
    assert pushing.branches() == before
    pushing.repository.bare.rename(pushing.repository.bare.with_name("away"))
    with pytest.raises(TryLater, match="Nothing was changed: There is no repository"):
        pushing.put(SECOND)


def test_delete_pushes_the_removal_of_the_folder(pushing: Pushing) -> None:
    publisher = pushing.services.templates.publisher
    published = publisher.delete("hello", ADA, Condition(frozenset({pushing.state()})))
    assert published.pushed is not None
    assert published.pushed.branch == "rgz-email/hello-1"
    names = run_git(pushing.repository.bare, "ls-tree", "-r", "--name-only", published.commit or "").splitlines()
    assert names == ["mails/other/template.mjml"]
    assert "hello" in pushing.services.catalogue.current.entries
    with pytest.raises(NotFound):
        publisher.delete("nowhere", ADA, Condition(frozenset({"*"})))
