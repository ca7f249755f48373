"""A push to the repository is served; what must not be served is held, and what is served says where it comes from."""

from service.models import OPERATOR, DeploymentState
from service.store import deployments
from tests.deployments.conftest import Following
from tests.support.checkouts import MAIL

BROKEN = MAIL.replace("</mj-text>", "")


def changed(word: str, text: str = MAIL) -> str:
    return text.replace("<mj-text>Bonjour", f"<mj-text>{word}")


def test_sync_serves_the_commit_when_it_was_pushed(following: Following) -> None:
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


def test_rollback_serves_what_was_served_before_and_sync_leaves_it_out(following: Following) -> None:
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
