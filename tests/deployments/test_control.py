"""What persons decide: roll back, hold, lift, suspend, wait for a person."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import Conflict, InvalidRequest, NotFound
from service.models import OPERATOR, Trigger
from service.store import admin_actions, template_source
from service.store.admin_actions import ActionQuery
from tests.support.checkouts import changed
from tests.support.following import Following, follow
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository


def served_words(following: Following, *words: str) -> list[str]:
    """Push and serve `hello` with each of these words in turn; returns the commits."""
    commits = []
    for word in words:
        following.repository.write("hello", changed(word))
        commits.append(following.repository.push(word))
        following.sync()
    return commits


def test_rollback_goes_further_back_each_time_when_it_is_repeated(following: Following) -> None:
    following.sync()
    served_words(following, "Eins", "Zwei")
    control = following.services.deployments.deployment_control
    for word in ("Eins", "Bonjour"):
        control.rollback([], OPERATOR, to=None, why="wrong")
        following.follow()
        assert f"{word} Awa" in following.html()
    with pytest.raises(Conflict, match="No earlier deployment"):
        control.rollback([], OPERATOR, to=None, why="wrong")


def test_rollback_takes_a_commit_a_deployment_or_a_version_when_it_is_named(following: Following) -> None:
    following.sync()
    first = following.live.id
    eins, _ = served_words(following, "Eins", "Zwei")
    control = following.services.deployments.deployment_control
    control.rollback([], OPERATOR, to=eins[:10], why="wrong")
    following.follow()
    assert ("Eins" in following.html(), following.commit) == (True, eins)
    control.rollback([], OPERATOR, to=first, why="wrong")
    following.follow()
    assert "Bonjour" in following.html()
    control.rollback(["hello"], OPERATOR, to="1", why="the last one of version 1")
    following.follow()
    assert "Zwei" in following.html()


def test_rollback_of_one_template_leaves_the_others_when_both_changed(following: Following) -> None:
    following.sync()
    following.repository.write("hello", changed("Eins"))
    following.repository.write("other", changed("Eins"))
    commit = following.repository.push("Both")
    following.sync()
    following.services.deployments.deployment_control.rollback(["hello"], OPERATOR, to=None, why="wrong")
    following.follow()
    assert "Bonjour" in following.html("hello")
    assert "Eins" in following.html("other")
    snapshot = following.services.catalogue.current
    assert (snapshot.commit, snapshot.get("other").commit) == (commit, commit)
    assert snapshot.get("hello").commit != commit


def test_rollback_takes_a_new_template_away_and_brings_a_removed_one_back(following: Following) -> None:
    following.sync()
    following.repository.write("third", changed("Drei"))
    following.repository.clone.git("rm", "-r", "--quiet", "mails/other")
    following.repository.push("One more, one less")
    following.sync()
    assert sorted(following.services.catalogue.current.entries) == ["hello", "third"]
    following.services.deployments.deployment_control.rollback([], OPERATOR, to=None, why="wrong")
    following.follow()
    assert sorted(following.services.catalogue.current.entries) == ["hello", "other"]

    served_words(following, "Eins")  # sync goes on, and leaves both as they are
    assert sorted(following.services.catalogue.current.entries) == ["hello", "other"]
    control = following.services.deployments.deployment_control
    control.unhold("third", OPERATOR, revision=None)
    control.unhold("other", OPERATOR, revision=None)
    following.sync()
    assert sorted(following.services.catalogue.current.entries) == ["hello", "third"]


def test_revert_is_served_when_its_revision_is_not_the_held_one(following: Following) -> None:
    following.sync()
    good = following.revision()
    served_words(following, "Eins")
    following.services.deployments.deployment_control.rollback([], OPERATOR, to=None, why="wrong")
    following.repository.clone.git("revert", "--no-edit", "HEAD")
    commit = following.repository.push("Reverted")
    following.sync()
    assert (following.commit, following.revision(), following.state) == (commit, good, "synced")


def test_hold_ends_and_the_revision_is_served_when_its_time_has_come(following: Following) -> None:
    following.sync()
    served_words(following, "Eins")
    bad = following.revision()
    until = following.clock() + timedelta(minutes=5)
    control = following.services.deployments.deployment_control
    control.hold("hello", OPERATOR, revision=None, why="wait for legal", until=until)
    following.follow()
    assert "Bonjour" in following.html()
    following.sync()
    assert following.revision() != bad
    following.clock.forward(minutes=6)
    following.sync()
    assert following.revision() == bad
    assert template_source.holds(following.services.database) == []


def test_hold_of_a_revision_keeps_it_out_when_it_is_not_served(following: Following) -> None:
    following.sync()
    served_words(following, "Eins")
    eins = following.revision()
    served_words(following, "Zwei")
    control = following.services.deployments.deployment_control
    assert control.hold("hello", OPERATOR, revision=eins[:16], why="never again", until=None) is None
    served_words(following, "Eins")
    assert "Zwei" in following.html()
    assert following.state == "rolled_back"
    with pytest.raises(NotFound):
        control.hold("hello", OPERATOR, revision="ffff" * 4, why="never", until=None)


def test_suspend_lets_commits_wait_until_sync_is_resumed(following: Following) -> None:
    following.sync()
    before = following.commit
    control = following.services.deployments.deployment_control
    control.suspend(OPERATOR, why="month's end", until=None)
    [commit] = served_words(following, "Eins")
    assert (following.commit, following.state) == (before, "suspended")
    control.resume(OPERATOR)
    following.sync()
    assert (following.commit, following.state) == (commit, "synced")


def test_suspend_ends_by_itself_when_its_time_has_come(following: Following) -> None:
    following.sync()
    control = following.services.deployments.deployment_control
    control.suspend(OPERATOR, why="lunch", until=following.clock() + timedelta(minutes=5))
    [commit] = served_words(following, "Eins")
    assert following.commit != commit
    following.clock.forward(minutes=6)
    following.sync()
    assert following.commit == commit


def test_manual_sync_waits_for_a_person_when_a_commit_is_pushed(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    with follow(repository, tmp_path, clock, transport, email_templates_git_sync="manual") as following:
        control = following.services.deployments.deployment_control
        control.look(Trigger.COMMAND, OPERATOR)
        following.sync()
        before = following.commit
        [commit] = served_words(following, "Eins")
        assert (following.commit, following.state) == (before, "manual")
        control.look(Trigger.COMMAND, OPERATOR)
        following.sync()
        assert (following.commit, following.state) == (commit, "synced")


def test_control_says_why_when_it_is_asked_for_what_can_not_be(following: Following) -> None:
    control = following.services.deployments.deployment_control
    with pytest.raises(Conflict, match="Nothing is deployed"):
        control.rollback([], OPERATOR, to=None, why="wrong")
    following.sync()
    with pytest.raises(InvalidRequest, match="Say why"):
        control.rollback([], OPERATOR, to=None, why=" ")
    with pytest.raises(NotFound, match="no template"):
        control.rollback(["nobody"], OPERATOR, to=None, why="wrong")
    with pytest.raises(NotFound, match="no deployment and no commit"):
        control.rollback([], OPERATOR, to="cafe" * 10, why="wrong")
    with pytest.raises(Conflict, match="No earlier revision"):
        control.rollback(["hello"], OPERATOR, to=None, why="wrong")
    with pytest.raises(InvalidRequest, match="past"):
        control.hold("hello", OPERATOR, revision=None, why="wrong", until=following.clock())
    with pytest.raises(NotFound, match="No hold"):
        control.unhold("hello", OPERATOR, revision=None)


def test_control_leaves_a_trace_of_each_decision(following: Following) -> None:
    following.sync()
    served_words(following, "Eins")
    control = following.services.deployments.deployment_control
    control.rollback([], OPERATOR, to=None, why="wrong words")
    control.suspend(OPERATOR, why="month's end", until=None)
    control.resume(OPERATOR)
    control.unhold("hello", OPERATOR, revision=None)
    page = admin_actions.list_page(following.services.database, ActionQuery(), limit=10)
    assert [(one.kind.value, one.detail) for one in reversed(page.items)] == [
        ("deployment_rolled_back", "wrong words"),
        ("sync_suspended", "month's end"),
        ("sync_resumed", None),
        ("template_hold_lifted", None),
    ]
