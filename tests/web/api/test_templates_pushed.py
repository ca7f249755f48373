"""PUT, DELETE and the editor where a repository is followed: the answer names commit, branch and page of the change."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkouts import MAIL
from tests.support.pages import signed_in
from tests.support.publishing import CREATE, SECOND, URL, put
from tests.support.remote_repository import run_git
from tests.support.running import Running, eventually, running
from tests.support.template_repository import TemplateRepository

EDIT = "/admin/templates/hello/edit"


@pytest.fixture
def repository(tmp_path: Path) -> TemplateRepository:
    made = TemplateRepository(tmp_path / "git")
    made.write("hello")
    made.push("A template")
    return made


@pytest.fixture
def service(repository: TemplateRepository, tmp_path: Path) -> Iterator[Running]:
    with running(repository.settings(tmp_path)) as started:
        eventually(lambda: started.client.get(f"{URL}/hello").status_code, lambda status: status == 200)
        yield started


def branches(repository: TemplateRepository) -> list[str]:
    return run_git(repository.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads/rgz-email").split()


def fields(text: str) -> dict[str, str]:
    found = {
        name: html.unescape(value)
        for name, value in re.findall(r'<textarea name="([^"]+)"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    }
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
    return found | {name: html.unescape(value) for name, value in hidden}


def test_put_and_delete_answer_with_the_branch_that_was_pushed(
    service: Running, repository: TemplateRepository
) -> None:
    changed = put(service, SECOND, message="hello: good evening")
    body = changed.json()
    assert (changed.status_code, {*body}) == (202, {"key", "commit", "branch", "compare_url"})
    assert (body["key"], body["branch"], body["compare_url"]) == ("hello", "rgz-email/hello-1", None)
    assert run_git(repository.bare, "rev-parse", body["branch"]) == body["commit"]

    created = service.admin.put(f"{URL}/brand_new", json={"source": MAIL}, headers=CREATE)
    assert (created.status_code, created.json()["branch"]) == (202, "rgz-email/brand_new-1")
    assert service.client.get(f"{URL}/brand_new").status_code == 404

    tag = service.client.get(f"{URL}/hello").headers["etag"]
    deleted = service.admin.delete(f"{URL}/hello", headers={"If-Match": tag})
    assert (deleted.status_code, deleted.json()["branch"]) == (202, "rgz-email/hello-2")
    assert service.client.get(f"{URL}/hello").json()["version"] == 1

    assert put(service, MAIL).status_code == 200
    assert branches(repository) == ["rgz-email/brand_new-1", "rgz-email/hello-1", "rgz-email/hello-2"]


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [("en", "a new branch of the repository, for main", "on the branch rgz-email/hello-1"),
     ("fr", "une nouvelle branche du dépôt, destinée à main", "sur la branche rgz-email/hello-1")],
)  # fmt: skip
def test_editor_says_where_a_change_goes_and_went(
    service: Running, repository: TemplateRepository, language: str, before: str, after: str
) -> None:
    with signed_in(service, **{"Accept-Language": language}) as person:
        form = fields(person.get(EDIT).text)
        form["f.template.mjml"] = form["f.template.mjml"].replace('subject: "Bonjour', 'subject: "Bonsoir')
        review = person.post(EDIT, data=form | {"action": "review"})
        assert before in html.unescape(review.text)
        saved = person.post(EDIT, data=fields(review.text) | {"action": "save", "message": "hello: evening"})
        assert saved.status_code == 200
        assert after in html.unescape(saved.text)
        assert branches(repository) == ["rgz-email/hello-1"]

        hook = repository.bare / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho 'the <b>mail</b> team decides' >&2\nexit 1\n")
        hook.chmod(0o755)
        refused = person.post(EDIT, data=fields(review.text) | {"action": "save"})
        assert refused.status_code == 422
        assert "the &lt;b&gt;mail&lt;/b&gt; team decides" in refused.text
        assert branches(repository) == ["rgz-email/hello-1"]
