"""A directory is recorded as deployments: each commit that is checked out, and not each save."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, build
from service.errors import Conflict
from service.models import OPERATOR, Deployment
from service.store import deployments, revisions
from service.store.deployments import DeploymentQuery
from tests.support.checkouts import Checkout, changed, write_mail
from tests.support.running import settings_for
from tests.support.scripted import Clock, ScriptedTransport

COMMIT = "3fa91c2" + "0" * 33


@contextmanager
def serving(
    directory: Path, templates: Path, clock: Clock, transport: ScriptedTransport, **changes: Any
) -> Iterator[Services]:
    settings = settings_for(directory, email_templates_dir=templates, **changes)
    services = build(settings, transport=transport, clock=clock, boottime=clock.boottime)
    try:
        yield services
    finally:
        services.close()


def recorded(services: Services) -> list[Deployment]:
    """Look at the files, record, and return all deployments, newest first."""
    services.catalogue.refresh()
    services.deployments.served.step()
    return list(deployments.list_page(services.database, DeploymentQuery(), limit=10).items)


def state(services: Services) -> str:
    return services.deployments.deployment_status.report().state


def test_recorder_makes_a_deployment_when_another_commit_is_checked_out(
    tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    checkout = Checkout(tmp_path / "checkout")
    write_mail(checkout.mails)
    first = checkout.commit("The first")
    with serving(tmp_path, checkout.mails, clock, transport) as services:
        [only] = recorded(services)
        assert only.commit is not None
        assert (only.commit.id, only.commit.first_line, only.trigger) == (first, "The first", "files")
        snapshot = services.catalogue.current
        assert snapshot.deployment_id == only.id
        assert revisions.revision(services.database, snapshot.get("hello").revision) is not None

        write_mail(checkout.mails, "hello", changed("Salut"))
        assert len(recorded(services)) == 1
        assert (services.catalogue.current.deployment_id, state(services)) == (only.id, "drifted")
        clock.forward(seconds=1)
        second = checkout.commit("The second")
        newest = recorded(services)[0]
        assert newest.commit is not None
        assert (newest.commit.id, newest.commit.parent, state(services)) == (second, first, "synced")
    with serving(tmp_path, checkout.mails, clock, transport) as services:
        assert len(recorded(services)) == 2, "a start records nothing that is recorded"
        assert services.catalogue.current.deployment_id == newest.id


@pytest.mark.parametrize("by_file", [True, False], ids=["file", "setting"])
def test_recorder_takes_the_commit_that_is_named_when_there_is_no_git(
    tmp_path: Path, clock: Clock, transport: ScriptedTransport, by_file: bool
) -> None:
    write_mail(tmp_path / "mails")
    if by_file:
        (tmp_path / "mails" / ".commit").write_text(COMMIT + "\n")
    changes = {} if by_file else {"email_templates_commit": COMMIT}
    with serving(tmp_path, tmp_path / "mails", clock, transport, **changes) as services:
        [only] = recorded(services)
        assert only.commit is not None
        assert only.commit.id == COMMIT
        template = services.catalogue.current.get("hello")
        assert (template.commit, template.dirty) == (COMMIT, False)


def test_recorder_records_a_directory_in_no_commit_when_it_differs_at_a_start(
    tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    write_mail(tmp_path / "mails")
    with serving(tmp_path, tmp_path / "mails", clock, transport) as services:
        assert [one.commit for one in recorded(services)] == [None]
        write_mail(tmp_path / "mails", "hello", changed("Salut"))
        assert len(recorded(services)) == 1, "a save is no deployment"
    clock.forward(seconds=1)
    with serving(tmp_path, tmp_path / "mails", clock, transport) as services:
        assert len(recorded(services)) == 2
        assert len(recorded(services)) == 2


def test_rollback_says_why_not_when_a_directory_is_served(
    tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    write_mail(tmp_path / "mails")
    with serving(tmp_path, tmp_path / "mails", clock, transport) as services:
        recorded(services)
        with pytest.raises(Conflict, match="EMAIL_TEMPLATES_GIT_URL"):
            services.deployments.deployment_control.rollback([], OPERATOR, to=None, why="wrong")
