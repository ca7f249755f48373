"""A push to the repository is served; what must not be served is held, and what is served says where it comes from."""

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import StoreBusy
from service.models import OPERATOR, Caller, DeploymentState, Scope
from service.models.requests import SendRequest
from service.store import deployments, revisions, template_source
from service.store.deployments import DeploymentQuery
from service.templates.template import Template
from tests.support.checkouts import MAIL, changed
from tests.support.following import Following, follow
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository

BROKEN = MAIL.replace("</mj-text>", "")


def test_sync_serves_the_commit_when_it_was_pushed(following_either: Following) -> None:
    following = following_either
    following.sync()
    first = following.live
    assert first.commit is not None
    assert (first.state, first.commit.first_line, first.commit.author) == (
        DeploymentState.LIVE,
        "Two templates",
        "Ada Lovelace",
    )
    assert "Bonjour Awa" in following.html()
    assert following.state == "synced"

    following.repository.write("hello", changed("Salut"))
    commit = following.repository.push("Salut")
    following.sync()
    assert (following.commit, following.state) == (commit, "synced")
    assert "Salut Awa" in following.html()
    template = following.services.catalogue.current.get("hello")
    assert (template.commit, template.dirty) == (commit, False)
    assert following.services.catalogue.current.deployment_id == following.live.id
    items = {item.key: item.change for item in deployments.items(following.services.database, following.live.id)}
    assert items == {"hello": "changed", "other": "same"}


def test_sync_keeps_the_last_good_revision_when_a_template_is_broken(following: Following) -> None:
    following.sync()
    following.repository.write("hello", BROKEN)
    following.repository.write("other", changed("Salut"))
    commit = following.repository.push("Broken")
    following.sync()
    assert (following.commit, following.state) == (commit, "degraded")
    assert "Bonjour Awa" in following.html("hello")
    assert "Salut Awa" in following.html("other")
    assert following.services.catalogue.current.entries["hello"].is_degraded


def test_sync_holds_the_commit_when_a_variable_becomes_required(following: Following) -> None:
    following.sync()
    before = following.commit
    following.repository.write("hello", MAIL.replace("    required: false\n", ""))
    following.repository.push("Required")
    following.sync()
    assert (following.commit, following.state) == (before, "held")
    held = deployments.waiting(following.services.database, since=following.live.created_at)
    assert held is not None
    assert "hello/template.mjml:8" in (held.reason or "")

    following.services.deployments.deployment_control.activate(held.id, OPERATOR, why="billing is ready")
    following.follow()
    assert (following.live.id, following.state) == (held.id, "synced")


def test_rollback_serves_what_was_served_before_and_sync_leaves_it_out(following_either: Following) -> None:
    following = following_either
    following.sync()
    good = following.revision()
    following.repository.write("hello", changed("Faux"))
    bad = following.repository.push("Wrong words")
    following.sync()
    assert "Faux" in following.html()

    control = following.services.deployments.deployment_control
    control.rollback([], OPERATOR, to=None, why="wrong words")
    following.follow()
    assert (following.revision(), following.state) == (good, "rolled_back")
    assert following.commit != bad

    following.repository.write("other", changed("Salut"))
    other = following.repository.push("Another template")
    following.sync()
    assert (following.commit, following.state) == (other, "rolled_back")
    assert "Salut" in following.html("other")
    assert following.revision() == good

    following.repository.write("hello", changed("Juste"))
    following.repository.push("The fix")
    following.sync()
    assert "Juste" in following.html()
    assert following.state == "synced"


def test_sync_recovers_when_the_repository_was_out_of_reach(following: Following) -> None:
    following.sync()
    commit = following.commit
    hidden = following.repository.bare.rename(following.repository.bare.with_name("hidden.git"))
    for _ in range(3):
        following.sync()
    assert (following.commit, following.state) == (commit, "unreachable")
    hidden.rename(following.repository.bare)
    following.sync()
    assert following.state == "synced"


def test_sync_serves_the_new_head_when_the_branch_was_pushed_with_force(following: Following) -> None:
    following.sync()
    following.repository.clone.git("commit", "--quiet", "--amend", "--message", "Written anew")
    following.repository.write("hello", changed("Salut"))
    commit = following.repository.push("Salut", "--force")
    following.sync()
    assert (following.commit, following.state) == (commit, "synced")


def test_sync_says_orphaned_when_the_live_commit_left_the_branch_and_the_new_one_is_held(following: Following) -> None:
    following.sync()
    clone = following.repository.clone
    following.repository.write("hello", MAIL.replace("    required: false\n", ""))
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--amend", "--message", "Written anew")
    clone.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    following.sync()
    codes = [one.code for one in following.services.deployments.deployment_status.report().conditions]
    assert codes == ["orphaned", "held"]


def test_sync_serves_a_removal_and_pins_stay_when_a_template_is_deleted(following: Following) -> None:
    following.sync()
    revision = following.revision("other")
    following.repository.clone.git("rm", "-r", "--quiet", "mails/other")
    following.repository.push("Without other")
    following.sync()
    assert list(following.services.catalogue.current.entries) == ["hello"]
    assert revisions.revision(following.services.database, revision) is not None


def test_sync_holds_a_commit_when_it_has_no_template(following: Following) -> None:
    following.sync()
    following.repository.clone.git("rm", "-r", "--quiet", "mails")
    following.repository.push("Nothing")
    following.sync()
    assert following.state == "held"
    assert "Bonjour" in following.html()


def test_sync_judges_a_held_commit_once_until_the_ref_changes(following: Following) -> None:
    following.sync()
    following.repository.write("hello", MAIL.replace("    required: false\n", ""))
    following.repository.push("Required")
    for _ in range(3):
        following.sync()
    page = deployments.list_page(following.services.database, DeploymentQuery(), limit=10)
    assert [one.state for one in page.items] == ["held", "live"]


def test_sync_accepts_a_break_when_a_trailer_of_its_commit_names_the_template(following: Following) -> None:
    following.sync()
    following.repository.write("hello", MAIL.replace("    required: false\n", ""))
    commit = following.repository.push("Required\n\nBreaking: hello")
    following.sync()
    assert (following.commit, following.state) == (commit, "synced")


def test_start_serves_what_was_live_when_remote_and_git_are_gone(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with follow(repository, tmp_path, clock, transport) as first:
        first.sync()
        html = first.html()
    shutil.rmtree(repository.bare)
    shutil.rmtree(tmp_path / "state" / "templates.git", ignore_errors=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with follow(repository, tmp_path, clock, transport) as second:
        assert second.html() == html
        second.sync()
        assert "no git" in (template_source.status(second.services.database).failure or "")
        assert second.html() == html


def test_start_deploys_the_live_files_anew_when_the_compiler_is_another(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with follow(repository, tmp_path, clock, transport) as first:
        first.sync()
        commit, before = first.commit, first.live.id
        first.services.database.write(lambda tx: tx.execute("UPDATE deployments SET compiler = 1"))
    shutil.rmtree(repository.bare)
    with follow(repository, tmp_path, clock, transport) as second:
        second.sync()
        assert (second.commit, second.live.trigger) == (commit, "compiler")
        assert second.live.id != before


def test_replay_holds_a_commit_when_it_would_refuse_what_callers_send(following: Following) -> None:
    following.sync()
    caller = Caller("billing", "billing", frozenset({Scope.SEND}))
    for amount in ("7", "500"):
        body = {"to": "awa@example.bj", "template_key": "hello", "variables": {"name": "Awa", "amount": amount}}
        request = SendRequest.model_validate({**body, "source_endpoint": "billing"})
        following.services.sending.acceptor.send(request, caller)
    following.repository.write("hello", MAIL.replace("maxLength: 20", "maxLength: 2"))
    following.repository.push("Shorter\n\nBreaking: other")
    following.sync()
    held = deployments.waiting(following.services.database, since=following.live.created_at)
    assert held is not None
    assert "hello: would refuse 1 of 2: billing 1 at /variables/amount" in (held.reason or "").splitlines()
    assert "500" not in (held.reason or "")


def test_sync_serves_new_values_when_their_file_changes_and_holds_what_lacks_one(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("portal: https://a.example\n")
    declared = repository.clone.mails / "_shared" / "values.yaml"
    declared.parent.mkdir()
    declared.write_text("portal: {type: string, format: uri, example: https://portal.example}\n")
    repository.write("hello", changed("{{ site.portal }}"))
    repository.push("Values")
    with follow(repository, tmp_path, clock, transport, email_template_values=values) as following:
        following.sync()
        assert "https://a.example" in following.html()
        revision, first = following.revision(), following.live.id
        values.write_text("portal: https://b.example\n")
        following.sync()
        assert ("https://b.example" in following.html(), following.revision()) == (True, revision)
        assert following.live.id != first
        values.write_text("{}\n")
        following.sync()
        assert following.state == "held"
        assert "https://b.example" in following.html()


def test_sync_takes_the_values_of_its_environment_when_they_stand_beside_the_templates(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    declared = repository.clone.mails / "_shared" / "values.yaml"
    declared.parent.mkdir()
    declared.write_text("portal: {type: string, format: uri, example: https://portal.example}\n")
    values = repository.clone.top / "values"
    values.mkdir()
    (values / "production.yaml").write_text("portal: https://rgz.example\n")
    (values / "staging.yaml").write_text("portal: https://staging.example\n")
    repository.write("hello", changed("{{ site.portal }}"))
    repository.push("Values")
    served = {}
    for environment in ("production", "staging"):
        directory = tmp_path / environment
        directory.mkdir()
        guard = {"email_environment": environment, "email_recipients": "everyone"}
        with follow(repository, directory, clock, transport, **guard) as following:
            following.sync()
            served[environment] = (following.revision(), "https://rgz.example" in following.html())
    assert served["production"][0] == served["staging"][0]
    assert (served["production"][1], served["staging"][1]) == (True, False)


def test_sync_activates_later_when_the_database_was_away_at_that_moment(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.sync()
    before = following.commit
    following.repository.write("hello", changed("Salut"))
    commit = following.repository.push("Salut")
    with monkeypatch.context() as away:

        def activate(*_: object, **__: object) -> bool:
            raise StoreBusy("away")

        away.setattr(deployments, "activate", activate)
        with pytest.raises(StoreBusy):
            following.sync()
    following.follow()
    assert (following.commit, "Bonjour" in following.html()) == (before, True)
    following.clock.forward(seconds=6)
    following.services.deployments.sync(threading.Event())
    following.follow()
    assert (following.commit, following.state) == (commit, "synced")
    page = deployments.list_page(following.services.database, DeploymentQuery(), limit=10)
    assert [one.state for one in page.items].count(DeploymentState.LIVE) == 1


def test_sync_is_done_by_one_process_when_two_follow_and_their_clocks_differ(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    ahead = Clock(clock.now + timedelta(seconds=5))
    with (
        follow(repository, tmp_path, clock, transport) as one,
        follow(repository, tmp_path, ahead, transport) as other,
    ):
        one.services.deployments.sync(threading.Event())
        other.services.deployments.sync(threading.Event())
        owner = template_source.status(one.services.database).lease_owner
        assert owner == one.services.deployments.process_id
        other.follow()
        assert other.services.catalogue.current.deployment_id == one.live.id
        one.services.deployments.leave()
        repository.write("hello", changed("Salut"))
        commit = repository.push("Salut")
        other.services.deployments.sync(threading.Event())
        one.follow()
        assert one.services.catalogue.current.commit == commit
        page = deployments.list_page(one.services.database, DeploymentQuery(), limit=10)
        assert [item.state for item in page.items] == ["live", "ended"]


def test_sync_holds_a_commit_when_a_value_is_missing_where_a_link_begins(following: Following) -> None:
    following.sync()
    declared = following.repository.clone.mails / "_shared" / "values.yaml"
    declared.parent.mkdir()
    declared.write_text("portal: {type: string, format: uri, example: https://portal.example}\n")
    link = MAIL.replace("<mj-text>Bonjour", '<mj-text><a href="{{ site.portal }}/x">x</a> Bonjour')
    following.repository.write("hello", link)
    following.repository.push("A link")
    following.sync()
    assert following.state == "held"
    assert "href" not in following.html()


def test_follower_prepares_what_has_another_revision_alone(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.sync()
    prepared: list[str] = []
    monkeypatch.setattr(Template, "prepare", lambda template: prepared.append(template.key))
    following.repository.write("hello", changed("Salut"))
    following.repository.push("Salut")
    following.sync()
    assert prepared == ["hello"]
