"""Open pull requests are compiled as previews; what is wrong with one stops neither the others nor a deployment."""

import json
import subprocess
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.models import Preview, PreviewItem
from service.store import previews
from tests.support.checkouts import MAIL, changed
from tests.support.following import Following, follow
from tests.support.forge_api import forge_api
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository

PULLS = "refs/pull/*/head"
SHARING = MAIL.replace("<mj-section>", '<mj-include path="../_shared/head.mjml" /><mj-section>', 1)
PART = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>\n"


@pytest.fixture
def following_settings() -> dict[str, Any]:
    return {"email_templates_previews": PULLS}


@pytest.fixture
def following(following: Following) -> Following:
    following.sync()
    return following


@pytest.fixture
def following_either(following_either: Following) -> Following:
    following_either.sync()
    return following_either


def names(found: list[Preview]) -> list[str]:
    return [one.name for one in found]


def items(following: Following, name: str) -> dict[str, PreviewItem]:
    return {one.key: one for one in following.services.deployments.preview_reader.detail(name).items}


def html(following: Following, name: str, key: str = "hello") -> str:
    proposed = following.services.templates.proposed_templates.choose(name, key)
    assert proposed is not None, "it is as it is served"
    return proposed.template.render({"name": "Awa"}).html


def test_previews_hold_what_each_pull_request_changes_and_serve_none_of_it(following_either: Following) -> None:
    following = following_either
    commit = following.repository.propose(7, "Say salut", hello=changed("Salut"))
    following.repository.propose(12, "A new one", third=changed("Trois"))
    found = following.look_at_previews()
    assert names(found) == ["pr-12", "pr-7"]
    assert (found[1].commit.id, found[1].commit.author, found[1].commit.first_line) == (
        commit,
        "Ada Lovelace",
        "Say salut",
    )
    assert {key: (one.change, list(one.why)) for key, one in items(following, "pr-7").items()} == {
        "hello": ("changed", ["hello/template.mjml"])
    }
    assert {key: one.change for key, one in items(following, "pr-12").items()} == {"third": "new"}
    assert "Salut Awa" in html(following, "pr-7")
    assert items(following, "pr-7")["hello"].contract == []
    assert "Trois Awa" in html(following, "pr-12", "third")
    following.sync()
    assert "Bonjour Awa" in following.html()
    assert set(following.services.catalogue.current.entries) == {"hello", "other"}


def test_previews_name_shared_parts_and_only_templates_that_take_them_in(following: Following) -> None:
    repository = following.repository
    repository.write("other", SHARING)
    repository.write_shared("head.mjml", PART.format("Tête"))
    repository.push("A shared part")
    following.sync()
    repository.write_shared("head.mjml", PART.format("Tête nouvelle"))
    repository.propose(3, "A new head")
    following.look_at_previews()
    assert {key: (one.change, list(one.why)) for key, one in items(following, "pr-3").items()} == {
        "other": ("by_shared_part", ["_shared/head.mjml"])
    }


def test_previews_leave_out_what_was_deployed_after_the_pull_request_branched_off(following: Following) -> None:
    following.repository.propose(3, hello=changed("Salut"))
    following.repository.write("other", changed("Bonsoir"))
    following.repository.push("Meanwhile")
    following.sync()
    following.look_at_previews()
    assert set(items(following, "pr-3")) == {"hello"}
    following.repository.propose(4, other=None)
    following.look_at_previews()
    [gone] = items(following, "pr-4").values()
    assert (gone.key, gone.change, [one.code for one in gone.contract]) == ("other", "gone", ["template-removed"])


def test_previews_say_what_changes_for_callers(following: Following) -> None:
    following.repository.propose(3, hello=MAIL.replace("    required: false\n", ""))
    following.look_at_previews()
    [line] = items(following, "pr-3")["hello"].contract
    assert (line.code, line.is_breaking, line.place) == ("breaking-variable", True, "hello/template.mjml:8:3")


def test_previews_follow_new_commits_and_keep_their_links(following: Following) -> None:
    following.repository.propose(7, hello=changed("Salut"))
    [before] = following.look_at_previews()
    following.repository.propose(7, hello=changed("Coucou"))
    [after] = following.look_at_previews()
    assert (before.links, before.commit.id) == (after.links, before.commit.id)
    assert before.commit.id != after.commit.id
    assert "Coucou Awa" in html(following, "pr-7")


def test_previews_are_not_made_again_while_nothing_changes(following: Following) -> None:
    following.repository.propose(7, hello=changed("Salut"))
    [first] = following.look_at_previews()
    [second] = following.look_at_previews()
    assert first.prepared_at == second.prepared_at
    following.repository.write("other", changed("Bonsoir"))
    following.repository.push("Another deployment")
    following.sync()
    [third] = following.look_at_previews()
    assert third.prepared_at > first.prepared_at


@pytest.mark.parametrize("how", ["gone", "merged", "old"])
def test_previews_end_with_their_rows_when_the_pull_request_is_over(how: str, following: Following) -> None:
    repository = following.repository
    commit = repository.propose(7, hello=changed("Salut"))
    repository.propose(8, hello=changed("Coucou"))
    assert names(following.look_at_previews()) == ["pr-8", "pr-7"]
    if how == "gone":
        repository.withdraw(7)
    elif how == "merged":
        repository.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge 7", commit)
        repository.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        following.sync()
    else:
        following.clock.forward(seconds=timedelta(days=13).total_seconds())
        repository.propose(8, hello=changed("Encore"))
        following.look_at_previews()
        following.clock.forward(seconds=timedelta(days=2).total_seconds())
        following.sync()
    for _ in range(2):  # and none comes back by itself
        assert names(following.look_at_previews()) == ["pr-8"]
    assert previews.items(following.services.database, "pr-7") == []


def test_previews_that_the_forge_calls_closed_are_over(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    with forge_api() as forge:
        changes = {
            "email_templates_previews": PULLS,
            "email_templates_git_status": "github",
            "email_templates_git_status_url": forge.url,
            "email_templates_git_token_file": token,
        }
        with follow(repository, tmp_path, clock, transport, **changes) as following:
            following.sync()
            repository.propose(7, hello=changed("Salut"))
            repository.propose(8, hello=changed("Coucou"))
            forge.answers = [(200, json.dumps([{"number": 8}]).encode()), (500, b""), (200, b'[{"number": 7}]')]
            assert names(following.look_at_previews()) == ["pr-8"]
            assert names(following.look_at_previews()) == ["pr-8"], "what was closed stays closed without an answer"
            assert names(following.look_at_previews()) == ["pr-7"]
            assert "/pulls?state=open" in forge.requests[0].path


def test_previews_are_those_of_the_newest_pull_requests(
    repository: TemplateRepository, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    changes = {"email_templates_previews": PULLS, "email_templates_previews_max": 2}
    with follow(repository, tmp_path, clock, transport, **changes) as following:
        following.sync()
        for number in (2, 9, 10):
            repository.propose(number, hello=changed(f"Salut{number}"))
        assert names(following.look_at_previews()) == ["pr-10", "pr-9"]
        repository.withdraw(10)
        assert names(following.look_at_previews()) == ["pr-9", "pr-2"]


def test_bad_pull_requests_have_findings_and_stop_nothing(following: Following, tmp_path: Path) -> None:
    repository = following.repository
    repository.propose(1, hello=MAIL.replace("</mj-text>", ""))
    endless = "{% for a in range(9999) %}" * 3 + "x" + "{% endfor %}" * 3
    repository.propose(2, hello=changed(endless))
    repository.propose(3, Hello=changed("Autre casse"))
    (repository.clone.mails / "linked").symlink_to("hello")
    repository.propose(4, "A link")
    repository.propose(5, hello="\0" * 500)
    tree = repository.clone.git("hash-object", "-t", "tree", "-w", "/dev/null")
    empty = repository.clone.git("commit-tree", "-m", "Nothing", tree)
    repository.clone.git("push", "--quiet", "origin", f"{empty}:refs/pull/6/head")
    blob = repository.clone.git("hash-object", "-w", str(repository.clone.mails / "hello" / "template.mjml"))
    repository.clone.git("push", "--quiet", "origin", f"{blob}:refs/pull/7/head")
    repository.clone.git("push", "--quiet", "origin", "HEAD:refs/pull/a$b/head")
    repository.propose(9, hello=changed("Salut"))
    large = "{% for a in range(900) %}" + "x" * 3_000 + "{% endfor %}"
    repository.propose(10, hello=changed(large))
    push_files(repository, 11, 5_001)
    found = {one.name: one for one in following.look_at_previews()}
    assert set(found) == {f"pr-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)}
    assert [items(following, name)["hello"].revision for name in ("pr-2", "pr-5", "pr-10")] == [None, None, None]
    assert "more than 5000 files" in (found["pr-11"].reason or "")
    broken = items(following, "pr-1")["hello"]
    assert broken.revision is None and broken.new_findings
    assert "Autre casse Awa" in html(following, "pr-3", "Hello")
    assert {one.code for one in items(following, "pr-3")["hello"].findings} == {"file-case"}
    assert {one.code for one in found["pr-4"].findings} == {"file-link"}
    assert "no directory mails" in (found["pr-6"].reason or "")
    assert "no commit" in (found["pr-7"].reason or "")
    assert "Salut Awa" in html(following, "pr-9")
    repository.write("hello", changed("Bonsoir"))
    repository.push("It goes on")
    following.sync()
    assert "Bonsoir Awa" in following.html()


def push_files(repository: TemplateRepository, number: int, count: int) -> None:
    """Propose a directory of templates with so many files, without writing them."""

    def made(*arguments: str, lines: str = "") -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *arguments],
            cwd=repository.clone.top, input=lines, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    blob = made("hash-object", "-w", "--stdin", lines="A text.")
    tree = made("mktree", lines="".join(f"100644 blob {blob}\tn{n}.txt\n" for n in range(count)))
    top = made("mktree", lines=f"040000 tree {tree}\tmails\n")
    made("push", "--quiet", "origin", f"{made('commit-tree', '-m', 'Many', top)}:refs/pull/{number}/head")


def test_previews_say_what_was_not_compiled_in_time(following: Following) -> None:
    following.repository.propose(7, hello=changed("Salut"), other=changed("Coucou"), third=changed("Trois"))
    syncer = following.services.deployments.preview_syncer
    assert syncer is not None
    seconds = iter((0.0, 0.0, 59.0, 61.0))
    syncer.compiler = replace(syncer.compiler, monotonic_s=lambda: next(seconds))
    [found] = following.look_at_previews()
    assert "1 of 3 templates were not compiled" in (found.reason or "")
    assert set(items(following, "pr-7")) == {"hello", "other"}


def test_previews_of_a_pull_request_that_can_not_be_fetched_are_tried_again_in_the_next_hour(
    following: Following,
) -> None:
    following.repository.propose(7, hello=changed("Salut"))
    syncer = following.services.deployments.preview_syncer
    assert syncer is not None
    whole = syncer.remote
    syncer.remote = replace(whole, max_fetch_bytes=1)
    [found] = following.look_at_previews()
    assert found.reason is not None and found.changed_count == 0
    syncer.remote = whole
    [same] = following.look_at_previews()
    assert same.reason == found.reason
    following.clock.forward(seconds=3_600)
    following.sync()
    [mended] = following.look_at_previews()
    assert (mended.reason, mended.changed_count) == (None, 1)


def test_previews_are_forgotten_where_the_setting_is_taken_away(
    following: Following, tmp_path: Path, clock: Clock, transport: ScriptedTransport
) -> None:
    following.repository.propose(7, hello=changed("Salut"))
    following.look_at_previews()
    following.services.deployments.leave()
    with follow(following.repository, tmp_path, clock, transport) as without:
        without.sync()
        assert without.services.deployments.preview_reader.list_all() == []
        assert without.look_at_previews() == []
        assert previews.names(without.services.database) == []


def test_previews_belong_to_the_process_that_follows_the_source(following: Following) -> None:
    following.repository.propose(7, hello=changed("Salut"))
    following.services.deployments.leave()
    following.clock.forward(seconds=100)
    syncer = following.services.deployments.preview_syncer
    assert syncer is not None
    assert not syncer.step(threading.Event())
