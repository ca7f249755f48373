"""A caller is tried against a pull request's template before either is merged; nothing else leads to that template."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.models.requests import SendRequest, digest_of
from service.store import previews
from tests.support.checkouts import MAIL, changed
from tests.support.deployed import DeployedService, deployed

PULLS = "refs/pull/*/head"
API = "/api/v1/email"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedService]:
    """A service that may write to example.com alone, with pr-7 (hello, third), pr-8 (broken), pr-9 (other gone)."""
    changes: dict[str, Any] = {"email_templates_previews": PULLS, "email_recipients": "only:@example.com"}
    with deployed(tmp_path_factory.mktemp("previews"), **changes) as started:
        started.look()
        started.until("synced")
        started.repository.propose(7, "Say salut", hello=changed("Salut"), third=changed("Trois"))
        started.repository.propose(8, "Broken", hello=MAIL.replace("</mj-text>", ""))
        started.repository.propose(9, "Away", other=None)
        started.look_at_previews()
        yield started


def send(here: DeployedService, **more: Any) -> httpx.Response:
    body = {"to": "awa@example.com", "template_key": "hello", "variables": {"name": "Awa"}, **more}
    return here.service.admin.post(f"{API}/send", json=body)


def test_preview_list_and_detail_say_what_changes(here: DeployedService) -> None:
    with here.service.key("reader", "read") as reader:
        listed = reader.get(f"{API}/previews").json()
        assert [one["name"] for one in listed["items"]] == ["pr-9", "pr-8", "pr-7"]
        found = reader.get(f"{API}/previews/pr-7").json()
        assert (found["first_line"], found["author"], found["changed"]) == ("Say salut", "Ada Lovelace", 2)
        assert [(one["key"], one["change"], one["why"]) for one in found["templates"]] == [
            ("hello", "changed", ["hello/template.mjml"]),
            ("third", "new", ["third/template.mjml"]),
        ]
        missing = reader.get(f"{API}/previews/pr-99")
        assert (missing.status_code, "pr-9, pr-8, pr-7" in missing.json()["detail"]) == (404, True)


def test_send_with_a_preview_is_rendered_with_it_and_says_so(here: DeployedService) -> None:
    commit = here.service.admin.get(f"{API}/previews/pr-7").json()["commit"]
    answer = send(here, template_ref="pr-7").raise_for_status().json()
    message = here.service.message(answer["messages"][0]["id"])
    assert (message["template_ref"], message["git_commit"], message["deployment"]) == ("pr-7", commit, None)
    assert "Salut Awa" in here.service.admin.get(f"{API}/messages/{message['id']}/html").text
    raw = here.service.admin.get(f"{API}/messages/{message['id']}/raw").text
    header = f"hello/1 {message['template_revision'][:12]} pr-7"
    assert f"X-RGZ-Template: {header}\r\n" in raw
    found = here.service.admin.get(f"{API}/messages", params={"template_revision": header}).json()
    assert message["id"] in [one["id"] for one in found["items"]]
    page = here.service.admin.get(f"/admin/messages/{message['id']}").text
    assert 'href="/admin/previews/pr-7"' in page
    again = here.service.admin.post(f"{API}/messages/{message['id']}/resend").json()
    assert here.service.message(again["id"])["template_ref"] == "pr-7"


def test_send_with_a_preview_takes_what_is_served_where_the_pull_request_does_not_change_it(
    here: DeployedService,
) -> None:
    answer = send(here, template_ref="pr-9").raise_for_status().json()
    served = here.service.services.catalogue.current.get("hello").revision
    message = here.service.message(answer["messages"][0]["id"])
    assert (answer["template"]["revision"], message["template_ref"]) == (served, "pr-9")


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"template_ref": "pr-99"}, "unknown_preview", "known are: pr-7, pr-8, pr-9"),
        ({"template_ref": "pr-8"}, "not_in_preview", "hello/template.mjml"),
        ({"template_ref": "pr-9", "template_key": "other"}, "not_in_preview", "pr-9 deletes it"),
        ({"template_ref": "pr-7", "template_version": 1}, "contradiction", "template_version"),
        ({"template_ref": "pr-7", "template_revision": "a" * 12}, "contradiction", "template_revision"),
        ({"template_ref": "refs/pull/7/head"}, "string_pattern_mismatch", ""),
    ],
)
def test_send_with_a_preview_is_refused_when_it_leads_to_no_template(
    more: dict[str, Any], code: str, says: str, here: DeployedService
) -> None:
    answer = send(here, **more)
    [problem] = answer.json()["errors"]
    assert (answer.status_code, problem["pointer"], problem["code"]) == (422, "/template_ref", code)
    assert says in problem["message"]


def test_send_with_a_preview_is_idempotent_by_the_whole_request(here: DeployedService) -> None:
    headers = {"Idempotency-Key": "preview-7"}
    body: dict[str, Any] = {"to": "awa@example.com", "template_key": "hello", "variables": {"name": "Awa"}}
    post = here.service.admin.post
    first = post(f"{API}/send", json=body | {"template_ref": "pr-7"}, headers=headers)
    second = post(f"{API}/send", json=body | {"template_ref": "pr-7"}, headers=headers)
    assert (first.json(), second.headers.get("idempotency-replayed")) == (second.json(), "true")
    assert post(f"{API}/send", json=body, headers=headers).status_code == 422
    plain = SendRequest(**body)
    assert digest_of(plain) == digest_of(SendRequest(**body, template_ref=None))
    assert digest_of(plain) != digest_of(SendRequest(**body, template_ref="pr-7"))


def test_pins_and_versions_never_lead_to_what_only_a_preview_sent(here: DeployedService) -> None:
    revision = send(here, template_ref="pr-7").raise_for_status().json()["template"]["revision"]
    pinned = send(here, template_revision=revision[:12])
    assert (pinned.status_code, pinned.json()["errors"][0]["code"]) == (422, "unknown_revision")
    served = here.service.services.catalogue.current.get("hello").revision
    assert send(here, template_version=1).raise_for_status().json()["template"]["revision"] == served
    versions = here.service.admin.get(f"{API}/templates/hello/versions").json()["items"]
    assert revision not in [one["revision"] for one in versions]
    held = here.service.admin.post(f"{API}/holds", json={"key": "hello", "revision": revision[:12], "why": "no"})
    assert held.status_code in (404, 422)
    third = send(here, template_ref="pr-7", template_key="third").raise_for_status()
    assert third.json()["template"]["key"] == "third"
    assert send(here, template_key="third").status_code == 404


def test_template_test_renders_and_sends_the_preview(here: DeployedService) -> None:
    asked = {"template_ref": "pr-7", "variables": {"name": "Awa"}}
    rendered = here.service.admin.post(f"{API}/templates/hello/test", json=asked).raise_for_status().json()
    assert "Salut Awa" in rendered["html"]
    sent = here.service.admin.post(f"{API}/templates/third/test", json=asked | {"to": "awa@example.com"})
    message = here.service.message(sent.raise_for_status().json()["message"]["id"])
    assert (message["is_test"], message["template_ref"]) == (True, "pr-7")
    unchanged = here.service.admin.post(f"{API}/templates/other/test", json=asked).raise_for_status().json()
    assert "Bonjour Awa" in unchanged["html"]
    wrong = here.service.admin.post(f"{API}/templates/hello/test", json=asked | {"template_ref": "pr-99"})
    assert wrong.json()["errors"][0]["code"] == "unknown_preview"


def test_merged_preview_is_a_revision_like_any_other_and_what_is_left_of_others_is_deleted(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"email_templates_previews": PULLS, "email_recipients": "only:@example.com"}
    with deployed(tmp_path, **changes) as here:
        here.look()
        here.until("synced")
        commit = here.repository.propose(7, hello=changed("Salut"))
        here.repository.propose(8, hello=changed("Coucou"))
        here.look_at_previews()
        merged = send(here, template_ref="pr-7").raise_for_status().json()["template"]["revision"]
        left = send(here, template_ref="pr-8").raise_for_status().json()
        here.repository.clone.git("merge", "--quiet", "--ff-only", commit)
        here.repository.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        here.look()
        here.until("synced")
        here.repository.withdraw(8)
        here.look_at_previews()
        assert here.service.admin.get(f"{API}/previews").json()["total"] == 0
        assert send(here, template_revision=merged).raise_for_status().json()["template"]["revision"] == merged
        database, now = here.service.services.database, here.clock()
        stored = "SELECT revision FROM email_template_revisions WHERE is_preview"
        assert [one["revision"] for one in database.read(stored)] == [left["template"]["revision"]]
        assert database.write(lambda tx: previews.forget_revisions(tx, before=now.replace(year=2100))) == 0
        database.write(lambda tx: tx.execute("DELETE FROM email_events") and None)
        message = left["messages"][0]["id"]
        for table, column in (("email_bodies", "message_id"), ("email_messages", "id")):
            sql = f"DELETE FROM {table} WHERE {column} = :id"
            database.write(lambda tx, sql=sql: tx.execute(sql, {"id": message}) and None)  # type: ignore[misc]
        assert database.write(lambda tx: previews.forget_revisions(tx, before=now.replace(year=2100))) == 1


def test_send_with_a_preview_is_refused_where_mail_goes_to_everyone(tmp_path: Path) -> None:
    with deployed(tmp_path, email_templates_previews=PULLS) as here:
        here.look()
        here.repository.propose(7, hello=changed("Salut"))
        here.until("synced")
        here.look_at_previews()
        answer = send(here, template_ref="pr-7")
        assert (answer.status_code, "EMAIL_RECIPIENTS" in answer.json()["detail"]) == (403, True)
        tested = here.service.admin.post(f"{API}/templates/hello/test", json={"template_ref": "pr-7"})
        assert "Salut" in tested.raise_for_status().json()["html"]
