"""A deployment compares what it renders with the snapshots of its commit, and holds what the settings ask to hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service import __version__
from service.models import OPERATOR, DeployedSnapshots, Deployment
from service.store import deployments
from service.templates.compiler import compile_template
from service.templates.mails import RenderedMail, mails_of
from service.templates.snapshots import folder
from service.templates.snapshots.compare import rendered_files
from service.templates.source.files import read_files
from tests.support.checkouts import changed
from tests.support.following import Following, follow
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_kit import LIMITS
from tests.support.template_repository import TemplateRepository

SITE = changed("{{ site.phone }}")


@pytest.fixture
def strict(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> Iterator[Following]:
    """A service that requires snapshots."""
    with follow(repository, tmp_path, clock, transport, email_templates_require_snapshots=True) as made:
        yield made


def record(repository: TemplateRepository, name: str = "snapshots") -> None:
    """Record the mails of all templates in the clone, as an author does before the commit."""
    files = read_files(repository.clone.mails)
    for key in files.template_keys():
        template = compile_template(files, key, limits=LIMITS).template
        assert template is not None
        mails = [
            RenderedMail(mail, template.render(template.examples[mail.example], locale=mail.locale))
            for mail in mails_of(template)
        ]
        made = rendered_files(mails, {key: template.manifest})
        folder.write(repository.clone.top / name, {path: data for path, data in made.items() if data is not None})


def newest(following: Following) -> Deployment:
    return deployments.list_page(following.services.database, deployments.DeploymentQuery(), limit=1).items[0]


def found(following: Following) -> DeployedSnapshots | None:
    return newest(following).snapshots


def test_snapshots_are_equal_where_the_commit_has_what_is_rendered(following_either: Following) -> None:
    following = following_either
    following.repository.write("hello", SITE)
    record(following.repository)
    following.repository.push("Recorded")
    following.sync()
    assert found(following) == DeployedSnapshots(equal=2, differing_mails=[], missing_mails=[])


def test_snapshots_that_differ_or_miss_are_named_and_served(following: Following) -> None:
    record(following.repository)
    (following.repository.clone.top / "snapshots" / "hello" / "fr.default.headers").unlink()
    following.repository.write("other", changed("Salut"))
    following.repository.push("Not recorded")
    following.sync()
    assert found(following) == DeployedSnapshots(
        equal=0, differing=1, missing=1, differing_mails=["other/fr.default"], missing_mails=["hello/fr.default"]
    )
    assert (newest(following).state, following.state) == ("live", "synced")


def test_snapshots_of_templates_that_change_are_compared_alone(following: Following) -> None:
    record(following.repository)
    following.repository.push("Recorded")
    following.sync()
    following.repository.write("other", changed("Salut"))
    following.repository.push("Not recorded")
    following.sync()
    assert found(following) == DeployedSnapshots(differing=1, differing_mails=["other/fr.default"], missing_mails=[])


def test_snapshots_are_not_compared_where_none_are_kept(following: Following) -> None:
    following.sync()
    assert found(following) is None


def test_snapshots_that_are_required_hold_the_commit_with_their_names(strict: Following) -> None:
    record(strict.repository)
    good = strict.repository.push("Recorded")
    strict.sync()
    assert (strict.commit, strict.state) == (good, "synced")

    strict.repository.write("hello", changed("Salut"))
    strict.repository.write("third", changed("Bonsoir"))
    strict.repository.push("Not recorded")
    strict.sync()
    held = newest(strict)
    assert (strict.commit, strict.state, held.state) == (good, "held", "held")
    reason = held.reason or ""
    assert "in this commit the snapshots of hello/fr.default differ from what is rendered." in reason
    assert "in this commit there are no snapshots of third/fr.default." in reason

    record(strict.repository)
    commit = strict.repository.push("Recorded, too")
    strict.sync()
    assert (strict.commit, strict.state) == (commit, "synced")


def test_snapshots_that_are_required_do_not_hold_what_was_served_before(strict: Following) -> None:
    record(strict.repository)
    strict.repository.push("Recorded")
    strict.sync()
    strict.repository.write("hello", changed("Salut"))
    record(strict.repository)
    strict.repository.push("Salut")
    strict.sync()
    # Somebody reverts the template by hand, and not its snapshots.
    strict.repository.write("hello")
    commit = strict.repository.push("Bonjour again")
    strict.sync()
    assert (strict.commit, strict.state) == (commit, "synced")
    assert found(strict) == DeployedSnapshots(differing=1, differing_mails=["hello/fr.default"], missing_mails=[])


def test_snapshots_that_are_required_are_asked_of_the_first_commit_and_a_person_may_serve_it(strict: Following) -> None:
    strict.sync()
    held = newest(strict)
    assert held.state == "held"
    assert "there are no snapshots of hello/fr.default, other/fr.default." in (held.reason or "")
    strict.services.deployments.deployment_control.activate(held.id, OPERATOR, why="the first one")
    strict.follow()
    assert strict.live.id == held.id


def test_snapshots_are_where_the_project_of_the_commit_has_them(following: Following) -> None:
    top = following.repository.clone.top
    (top / "rgz-email.toml").write_text('templates = "mails"\nsnapshots = "shots/all"\n')
    record(following.repository, "shots/all")
    following.repository.push("Elsewhere")
    following.sync()
    assert found(following) == DeployedSnapshots(equal=2, differing_mails=[], missing_mails=[])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('requires = ">=99"', f"rgz-email.toml requires rgz-email >=99, and {__version__} is installed"),
        ("\nrequire = 1", "rgz-email.toml:2: 'require' is unknown; did you mean requires?"),
    ],
)
def test_commit_is_held_where_its_project_can_not_be_served_by_this_version(
    following: Following, text: str, told: str
) -> None:
    following.sync()
    good = following.commit
    project = following.repository.clone.top / "rgz-email.toml"
    project.write_text(text)
    following.repository.push("Another version")
    following.sync()
    assert (following.commit, following.state) == (good, "held")
    assert told in (newest(following).reason or "")
    project.write_text(f'requires = "=={__version__}"\ntemplates = "mails"\n')
    commit = following.repository.push("This version")
    following.sync()
    assert (following.commit, following.state) == (commit, "synced")
