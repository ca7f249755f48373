"""The unsubscribe link: its place in the mail, its page, and the one-click request."""

import base64
import email
import email.policy
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from chromium import chromium
from tests.support.checkouts import MAIL, write_mail
from tests.support.running import Running, running, settings_for

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose template `news` is marketing and `hello` is not."""
    root = tmp_path_factory.mktemp("shop")
    templates = root / "templates"
    templates.mkdir()
    write_mail(templates)
    news = MAIL.replace("category: support", "category: news\nstream: marketing")
    write_mail(templates, "news", news)
    declared = "variables:\n  unsubscribe_url: {type: string, format: uri, example: 'https://example.com/u'}"
    link = '<a href="{{ unsubscribe_url }}">Se désabonner</a></mj-text>'
    write_mail(templates, "letter", news.replace("variables:", declared).replace("</mj-text>", link))
    changes = {"email_templates_dir": templates, "email_public_url": "https://mail.example/rgz/"}
    with running(settings_for(root, **changes)) as started:
        yield started


def news(shop: Running, to: str) -> dict[str, Any]:
    message: dict[str, Any] = shop.send("news", to, {"name": "Zoé"}).json()["messages"][0]
    return message


def mail_to(shop: Running, to: str) -> Any:
    [received] = shop.mails(to)
    return email.message_from_bytes(shop.raw(received["id"]), policy=email.policy.default)


def link(shop: Running, to: str) -> str:
    """The path behind the link in the mail to this address, sent now."""
    news(shop, to)
    header = re.fullmatch(r"<(https://mail\.example/rgz/api/v1/email/unsubscribe/[\w-]{88})>", listed(shop, to))
    assert header is not None
    return urlsplit(header[1]).path.removeprefix("/rgz")


def listed(shop: Running, to: str) -> str:
    return re.sub(r"\s", "", str(mail_to(shop, to)["List-Unsubscribe"]))


def listed_in(mail: Any) -> str:
    return re.sub(r"[\s<>]", "", str(mail["List-Unsubscribe"]))


def suppressions(shop: Running, to: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = shop.admin.get("/api/v1/email/suppressions", params={"address": to}).json()["items"]
    return items


def test_head_of_the_link_answers_as_the_page_and_unsubscribes_nobody(shop: Running) -> None:
    path = link(shop, "head@example.com")
    head, page = shop.client.head(path), shop.client.get(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(page.content)))
    assert suppressions(shop, "head@example.com") == []


def test_unsubscribe_link_is_in_marketing_mail_and_the_archive_has_the_same_bytes(shop: Running) -> None:
    message = news(shop, "header@example.com")
    mail = mail_to(shop, "header@example.com")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    shop.until(message["id"], "sent")
    raw = shop.admin.get(f"/api/v1/email/messages/{message['id']}/raw").content
    assert mail.as_bytes().count(b"List-Unsubscribe:") == raw.count(b"List-Unsubscribe:") == 1
    [received] = shop.mails("header@example.com")
    assert shop.raw(received["id"]).endswith(raw)


def test_unsubscribe_link_is_not_in_transactional_mail(shop: Running) -> None:
    shop.send("hello", "plain@example.com", {"name": "Zoé"})
    assert mail_to(shop, "plain@example.com")["List-Unsubscribe"] is None


def test_unsubscribe_link_names_nobody_and_opening_it_changes_nothing(shop: Running) -> None:
    path = link(shop, "secret.name@example.com")
    decoded = base64.urlsafe_b64decode(path.rpartition("/")[2])
    for text in ("secret", "example"):
        assert text not in path and text.encode() not in decoded
    for _ in range(3):
        page = shop.client.get(path)
        assert page.status_code == 200
        assert "secret" not in page.text
    assert suppressions(shop, "secret.name@example.com") == []
    again = shop.send("hello", "secret.name@example.com", {"name": "Zoé"}).json()["messages"][0]
    assert again["status"] == "queued"


@pytest.mark.parametrize("sends", ["form", "multipart", "nothing"])
def test_unsubscribe_by_one_click_ends_marketing_and_nothing_else(shop: Running, sends: str) -> None:
    to = f"click-{sends}@example.com"
    path = link(shop, to)
    bodies: dict[str, dict[str, Any]] = {
        "form": {"data": ONE_CLICK},
        "multipart": {"files": {name: (None, value) for name, value in ONE_CLICK.items()}},
        "nothing": {},
    }
    answers = [shop.client.post(path, **bodies[sends]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].history == []
    [item] = suppressions(shop, to)
    assert (item["scope"], item["reason"], item["source"], item["address"]) == (
        "marketing",
        "unsubscribe",
        "unsubscribe",
        to,
    )
    assert shop.message(item["event_id"])["to"] == to
    assert news(shop, to)["status"] == "suppressed"
    assert shop.send("hello", to, {"name": "Zoé"}).json()["messages"][0]["status"] == "queued"
    assert "<button>" not in shop.client.get(path).text


def test_unsubscribe_link_in_the_text_of_each_copy_is_that_of_its_recipient(shop: Running) -> None:
    people = [f"letter{n}@example.com" for n in range(3)]
    accepted = shop.send("letter", ", ".join(people), {"name": "Zoé"})
    assert accepted.status_code == 201, accepted.text
    links = []
    for to, message in zip(people, accepted.json()["messages"], strict=True):
        mail = mail_to(shop, to)
        header = listed_in(mail)
        html, text = mail.get_body(("html",)).get_content(), mail.get_body(("plain",)).get_content()
        assert f'href="{header}"' in html and header in text
        assert shop.client.get(urlsplit(header).path.removeprefix("/rgz")).status_code == 200
        assert shop.admin.get(f"/api/v1/email/messages/{message['id']}/html").text.count(header) == 1
        links.append(header)
    assert len(set(links)) == 3
    # A caller with a page of its own says so.
    own = shop.send("letter", "own@example.com", {"name": "Zoé", "unsubscribe_url": "https://shop.example/bye"})
    assert own.status_code == 201
    assert "https://shop.example/bye" in mail_to(shop, "own@example.com").get_body(("html",)).get_content()


def test_unsubscribe_link_works_in_a_test_mail_and_is_an_example_in_a_preview(shop: Running) -> None:
    shown = shop.admin.post("/api/v1/email/templates/letter/test", json={"to": "tester@example.com"}).json()
    assert "https://example.com/u" in shown["html"]
    mail = mail_to(shop, "tester@example.com")
    assert listed_in(mail) in mail.get_body(("html",)).get_content()


def test_unsubscribe_link_works_again_after_the_suppression_was_lifted(shop: Running) -> None:
    path = link(shop, "again@example.com")
    shop.client.post(path, data=ONE_CLICK)
    [item] = suppressions(shop, "again@example.com")
    shop.admin.delete(f"/api/v1/email/suppressions/{item['id']}")
    assert suppressions(shop, "again@example.com") == []
    shop.client.post(path, data=ONE_CLICK)
    assert len(suppressions(shop, "again@example.com")) == 1


def test_unsubscribe_link_that_is_forged_is_not_found_and_changes_nothing(shop: Running) -> None:
    path = link(shop, "forged@example.com")
    base, _, token = path.rpartition("/")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    forged = [token[:n] + letters[(letters.index(token[n]) + 1) % 64] + token[n + 1 :] for n in range(len(token))]
    forged += [token[:-1], f"{token}A", f"{token}=", token.swapcase(), "A" * 88, "%C3%A9" * 88, token[:-4] + "%00%00"]
    for one in forged:
        for method in ("GET", "POST"):
            answer = shop.client.request(method, f"{base}/{one}", data=ONE_CLICK if method == "POST" else None)
            assert answer.status_code == 404, (method, one)
    assert suppressions(shop, "forged@example.com") == []


@pytest.mark.parametrize(
    ("wish", "language"),
    [
        ("", "fr"),
        ("fr-BJ,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("de,en;q=0.5", "en"),
        ("de", "fr"),
        ("en;q=0,fr;q=0", "fr"),
        ("en;q=x", "fr"),
        ("fr;q=0.1, EN", "en"),
    ],
)
def test_unsubscribe_page_speaks_french_or_english(shop: Running, wish: str, language: str) -> None:
    page = httpx.get(f"{shop.url}/api/v1/email/unsubscribe/x", headers={"Accept-Language": wish})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["vary"] == "Accept-Language"


@pytest.mark.browser
def test_unsubscribe_page_needs_no_sign_in_and_works_in_a_browser(shop: Running) -> None:
    path = link(shop, "browser@example.com")
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page(locale="en-GB")
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(shop.url + path)
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="Done").wait_for()
    assert set(asked) == {shop.url + path}
    assert complaints == []
    assert len(suppressions(shop, "browser@example.com")) == 1
