"""PUT and DELETE of templates in a git checkout: the commit, its author, and others' uncommitted work."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.publishing import CREATE, SECOND, URL, etag, put, tree
from tests.support.running import Running, eventually, running, settings_for


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    write_mail(made.mails)
    (made.top / "elsewhere.txt").write_text("one\n")
    made.commit("Begin")
    return made


@pytest.fixture
def in_git(tmp_path: Path, checkout: Checkout) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=checkout.mails), works=False) as service:
        yield service


def test_publish_writes_commits_and_serves_a_change_at_once(in_git: Running, checkout: Checkout) -> None:
    before = etag(in_git)
    answer = put(in_git, SECOND, message="Say good evening\n\nIt is late.")
    assert answer.status_code == 200, answer.text
    shown = in_git.client.get(f"{URL}/hello")
    assert answer.json() == shown.json()
    assert answer.headers["etag"] == shown.headers["etag"] != before
    assert answer.headers["etag"] == f'"{answer.json()["revision"]}"'
    assert (answer.json()["subject"], answer.json()["version"]) == ("Bonsoir {{ name }}", 2)
    assert (checkout.mails / "hello" / "template.mjml").read_text() == SECOND
    assert answer.json()["commit"] == checkout.git("rev-parse", "HEAD")
    assert answer.json()["dirty"] is False
    assert checkout.git("log", "-1", "--format=%an <%ae>|%cn|%B") == (
        "admin <admin@noreply.rgz.bj>|admin|Say good evening\n\nIt is late."
    )
    assert (answer.json()["created_by"], answer.json()["updated_by"]) == ("Ada Lovelace", "admin")
    assert checkout.git("status", "--porcelain") == ""
    sent = in_git.send("hello", "a@example.com", {"name": "Zoé"}).json()
    assert in_git.message(sent["messages"][0]["id"])["subject"] == "Bonsoir Zoé"


def test_publish_creates_a_new_template_with_all_its_files(in_git: Running, checkout: Checkout) -> None:
    body = {
        "source": MAIL,
        "text": "Bonjour {{ name }} !\n",
        "locales": {"en": MAIL.partition("\n---\n")[2].replace("Bonjour", "Hello")},
        "examples": {"default": {"name": "yes", "amount": "2026-02-21"}, "long": {"name": "x" * 300}},
    }
    with in_git.key("Grace <Hopper>", "admin") as grace:
        answer = grace.put(f"{URL}/brand_new", json=body, headers=CREATE)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{URL}/brand_new"
    assert answer.json()["examples"] == body["examples"]
    assert answer.json()["locales"] == ["fr", "en"]
    files = sorted(tree(checkout.mails / "brand_new"))
    assert files == ["examples/default.yaml", "examples/long.yaml", "template.en.mjml", "template.mjml", "template.txt"]
    named = checkout.git("show", "--name-only", "--format=%an <%ae>|%s", "HEAD").split("\n")
    assert named == [
        "Grace Hopper <grace-hopper@noreply.rgz.bj>|brand_new: created",
        "",
        *(f"mails/brand_new/{one}" for one in files),
    ]
    assert (answer.json()["created_by"], answer.json()["updated_by"]) == ("Grace Hopper", "Grace Hopper")


def test_template_row_names_its_authors_in_git_once_it_sent(in_git: Running) -> None:
    assert in_git.send("hello", "a@example.com", {"name": "Zoé"}).status_code == 201
    [row] = in_git.services.database.read("SELECT * FROM email_templates")
    assert (row["created_by"], row["updated_by"]) == ("Ada Lovelace", "Ada Lovelace")
    assert put(in_git, SECOND).status_code == 200
    assert in_git.send("hello", "a@example.com", {"name": "Zoé"}).status_code == 201
    [row] = in_git.services.database.read("SELECT * FROM email_templates")
    assert (row["created_by"], row["updated_by"]) == ("Ada Lovelace", "admin")


def test_publish_leaves_uncommitted_work_of_others_alone(in_git: Running, checkout: Checkout) -> None:
    theirs = MAIL.replace("A mail for the tests", "Work under way")
    write_mail(checkout.mails, text=theirs)
    for step in (lambda: None, lambda: checkout.git("add", "mails")):
        step()
        answer = put(in_git, SECOND, match="*")
        assert answer.status_code == 409
        assert "uncommitted" in answer.json()["detail"]
        assert in_git.admin.delete(f"{URL}/hello", headers={"If-Match": "*"}).status_code == 409
    assert (checkout.mails / "hello" / "template.mjml").read_text() == theirs


def test_publish_does_not_commit_what_is_staged_elsewhere(in_git: Running, checkout: Checkout) -> None:
    (checkout.top / "elsewhere.txt").write_text("two\n")
    checkout.git("add", "elsewhere.txt")
    (checkout.top / "elsewhere.txt").write_text("three\n")
    assert put(in_git, SECOND).status_code == 200
    assert checkout.git("show", "--name-only", "--format=", "HEAD") == "mails/hello/template.mjml"
    assert checkout.git("status", "--porcelain") == "MM elsewhere.txt"


def test_publish_does_not_run_hooks(in_git: Running, checkout: Checkout, tmp_path: Path) -> None:
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        hook = checkout.top / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
        hook.chmod(0o755)
    assert put(in_git, SECOND).status_code == 200
    assert not (tmp_path / "hook-ran").exists()


def test_publish_of_the_same_files_makes_no_commit(in_git: Running, checkout: Checkout) -> None:
    head = checkout.git("rev-parse", "HEAD")
    answer = put(in_git, MAIL)
    assert (answer.status_code, answer.json()["commit"]) == (200, head)
    assert checkout.git("rev-parse", "HEAD") == head


def test_publish_puts_the_files_back_when_git_is_busy(in_git: Running, checkout: Checkout) -> None:
    before = tree(checkout.mails)
    (checkout.top / ".git" / "index.lock").touch()
    answer = put(in_git, SECOND)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert in_git.admin.put(f"{URL}/other", json={"source": MAIL}, headers=CREATE).status_code == 503
    assert in_git.admin.delete(f"{URL}/hello", headers={"If-Match": etag(in_git)}).status_code == 503
    assert tree(checkout.mails) == before
    (checkout.top / ".git" / "index.lock").unlink()
    assert checkout.git("status", "--porcelain") == ""
    assert put(in_git, SECOND).status_code == 200


def test_publish_restores_files_and_index_when_the_commit_fails(in_git: Running, checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "side")
    (checkout.top / "elsewhere.txt").write_text("side\n")
    checkout.commit()
    checkout.git("checkout", "--quiet", "main")
    (checkout.top / "elsewhere.txt").write_text("main\n")
    checkout.commit()
    checkout.git("merge", "--no-commit", "--strategy=ours", "--no-ff", "side")  # git commits no part of a merge
    before = tree(checkout.mails)
    answer = put(in_git, SECOND)
    assert answer.status_code == 409, answer.text
    assert str(checkout.top) not in answer.text
    assert in_git.admin.put(f"{URL}/other", json={"source": MAIL}, headers=CREATE).status_code == 409
    assert in_git.admin.delete(f"{URL}/hello", headers={"If-Match": etag(in_git)}).status_code == 409
    assert tree(checkout.mails) == before
    assert checkout.git("status", "--porcelain", "mails") == ""
    assert in_git.client.get(f"{URL}/hello").json()["version"] == 1


def test_checkout_without_any_commit_takes_the_first_one(tmp_path: Path) -> None:
    empty = Checkout(tmp_path / "checkout")
    with running(settings_for(tmp_path, email_templates_dir=empty.mails), works=False) as service:
        answer = service.admin.put(f"{URL}/hello", json={"source": MAIL}, headers=CREATE)
        assert (answer.status_code, answer.json()["commit"]) == (201, empty.git("rev-parse", "HEAD"))


def test_folder_that_git_ignores_is_written_without_a_commit(in_git: Running, checkout: Checkout) -> None:
    (checkout.top / ".gitignore").write_text("mails/scratch*\n")
    head = checkout.commit()
    answer = in_git.admin.put(f"{URL}/scratch1", json={"source": MAIL}, headers=CREATE)
    assert answer.status_code == 201, answer.text
    assert checkout.git("rev-parse", "HEAD") == head
    assert answer.json()["created_by"] == "admin"


def test_delete_removes_the_folder_and_commits_it(in_git: Running, checkout: Checkout) -> None:
    assert in_git.admin.delete(f"{URL}/hello").status_code == 428
    assert in_git.admin.delete(f"{URL}/hello", headers={"If-Match": '"0"'}).status_code == 412
    assert in_git.admin.delete(f"{URL}/missing", headers={"If-Match": "*"}).status_code == 404
    assert in_git.admin.delete(f"{URL}/Bad", headers={"If-Match": "*"}).status_code == 422
    answer = in_git.admin.delete(f"{URL}/hello", headers={"If-Match": etag(in_git)})
    assert (answer.status_code, answer.json()) == (200, {"key": "hello", "commit": checkout.git("rev-parse", "HEAD")})
    assert in_git.client.get(f"{URL}/hello").status_code == 404
    assert tree(checkout.mails) == {}
    assert checkout.git("log", "-1", "--format=%an|%s") == "admin|hello: deleted"
    assert checkout.git("status", "--porcelain") == ""
    again = in_git.admin.put(f"{URL}/hello", json={"source": MAIL}, headers=CREATE)
    assert again.status_code == 201


def test_publish_by_two_processes_from_the_same_state_succeeds_for_one(
    in_git: Running, checkout: Checkout, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, email_templates_dir=checkout.mails)
    with running(settings, works=False) as other:
        for round_ in range(5):
            _one_of_two_wins(in_git, other, etag(in_git), f"round {round_}")
    assert checkout.git("rev-list", "--count", "HEAD") == "6"


def _one_of_two_wins(one: Running, other: Running, read: str, name: str) -> None:
    texts = [MAIL.replace("A mail for the tests", f"{name}, {who}") for who in ("one", "other")]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda service, text: put(service, text, match=read), (one, other), texts))
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    eventually(lambda: (etag(one), etag(other)), lambda tags: tags[0] == tags[1] != read)


def test_publish_of_many_changes_of_one_revision_succeeds_for_exactly_one(in_git: Running, checkout: Checkout) -> None:
    read = etag(in_git)
    sources = [MAIL.replace("A mail for the tests", f"Number {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda source: put(in_git, source, match=read), sources))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
    [winner] = [index for index, answer in enumerate(answers) if answer.status_code == 200]
    assert (checkout.mails / "hello" / "template.mjml").read_text() == sources[winner]
    assert checkout.git("rev-list", "--count", "HEAD") == "2"
