"""The pages of previews, and what a signed link shows to who has no key."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.checkouts import MAIL, changed
from tests.support.deployed import STRICTER, DeployedService, deployed
from tests.support.pages import form_token, signed_in
from tests.support.running import plain_client

PAGE = "/admin/previews"
#: A picture from elsewhere, which nothing fetches.
PICTURE = '<mj-image src="https://pictures.example/spy.png" alt="A picture" />'
CANARY = "canary.adjovi@example.com"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedService]:
    with deployed(tmp_path_factory.mktemp("previews"), email_templates_previews="refs/pull/*/head") as started:
        started.look()
        started.until("synced")
        started.repository.propose(
            7, "<b>Say salut</b>", hello=changed("Salut", STRICTER).replace("</mj-column>", f"{PICTURE}</mj-column>", 1)
        )
        started.repository.propose(8, "Broken", hello=MAIL.replace("</mj-text>", ""), other=None)
        started.look_at_previews()
        yield started


@pytest.fixture
def client(here: DeployedService) -> Iterator[httpx.Client]:
    with signed_in(here.service) as made:
        yield made


def link(here: DeployedService, name: str = "pr-7") -> str:
    with here.service.key("deployer", "deploy") as deployer:
        made: str = deployer.post(f"/api/v1/email/previews/{name}/link").raise_for_status().json()["url"]
    return "/previews/" + made.rpartition("/")[2]


def frames(page: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'<iframe[^>]* src="([^"]+)"', page)]


def test_preview_pages_show_what_changes_before_and_after(here: DeployedService, client: httpx.Client) -> None:
    listed = client.get(PAGE).text
    assert "pr-7" in listed and "pr-8" in listed
    assert "&lt;b&gt;Say salut&lt;/b&gt;" in listed and "<b>Say" not in listed
    page = client.get(f"{PAGE}/pr-7").text
    assert "1 breaking" in page and "hello/template.mjml" in page
    before, after = (client.get(url) for url in frames(page))
    assert "Bonjour Zoé" in before.text and "Salut Zoé" in after.text
    assert "spy.png" not in after.text
    assert "sandbox" in after.headers["content-security-policy"]
    broken = client.get(f"{PAGE}/pr-8").text
    assert "There is no such mail any more, or it does not compile." in broken
    assert 'href="/admin/previews"' in client.get("/admin/deployments").text


def test_preview_page_follows_values_and_says_what_is_wrong_with_them(
    here: DeployedService, client: httpx.Client
) -> None:
    page = client.get(f"{PAGE}/pr-7", params={"key": "hello", "v.name": "Awa", "v.amount": "5"}).text
    assert ["Awa, 5" in client.get(url).text for url in frames(page)] == [True, True]
    wrong = client.get(f"{PAGE}/pr-7", params={"key": "hello", "v.name": "Awa", "v.amount": "-5"}).text
    assert "The proposal can&#39;t be rendered with these values." in wrong
    assert frames(wrong) == []


def test_preview_page_sends_the_proposal_as_a_test(here: DeployedService, client: httpx.Client) -> None:
    token = form_token(client.get(f"{PAGE}/pr-7"))
    form = {"form_token": token, "to": "me@example.com", "key": "hello", "choice": "v.name=Awa&v.amount=5"}
    answer = client.post(f"{PAGE}/pr-7/test", data=form)
    assert (answer.status_code, "sent=me%40example.com" in answer.headers["location"]) == (303, True)
    found = here.service.admin.get("/api/v1/email/messages", params={"to": "me@example.com"}).json()["items"]
    message = here.service.message(found[0]["id"])
    assert (message["is_test"], message["template_ref"], message["template_key"]) == (True, "pr-7", "hello")


def test_preview_pages_open_to_a_key_that_may_deploy_and_sends_nothing_for_it(here: DeployedService) -> None:
    with here.service.key("deployer", "deploy") as deployer:
        made = deployer.post(f"{PAGE}/pr-7/link").text
        assert f"{here.service.services.settings.email_public_url}/previews/" in made and "Good until" in made
        page = deployer.get(f"{PAGE}/pr-7").text
        assert "Make a link" in page and "Send me this" not in page
        refused = deployer.post(f"{PAGE}/pr-7/test", data={"to": "me@example.com", "key": "hello", "choice": ""})
        assert refused.status_code == 403


def test_link_shows_a_preview_without_a_key_with_example_values_alone(here: DeployedService) -> None:
    place = link(here)
    with plain_client(here.service.url) as stranger:
        answer = stranger.get(place, params={"v.name": "<i>typed</i>", "v.amount": "5"})
        page = answer.text
        assert (answer.status_code, answer.headers["x-robots-tag"]) == (200, "noindex, nofollow")
        assert "All values are examples." in page and "Ada Lovelace" not in page
        assert not re.search(r'action="/(?!admin/look)[^"]*" method|/test"|/link"|<textarea|name="v\.', page)
        before, after = (stranger.get(url) for url in frames(page))
        assert "Bonjour Zoé" in before.text and "Salut Zoé" in after.text
        typed = stranger.get(f"{place}/frame/hello", params={"side": "after", "v.name": "typed"})
        assert "typed" not in typed.text and "Salut Zoé" in typed.text
        assert stranger.get(f"{place}/frame/other").status_code == 404
        assert stranger.get(f"{PAGE}/pr-7", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("how", ["changed", "cut", "of another", "twice", "empty", "long", "other spelling"])
def test_link_is_refused_when_it_is_not_ours(how: str, here: DeployedService) -> None:
    token = link(here).rpartition("/")[2]
    wrong = {
        "changed": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "cut": token[:-4],
        "of another": link(here, "pr-8").rpartition("/")[2][:20] + token[20:],
        "twice": token * 2,
        "empty": "A" * 48,
        "long": "A" * 3_000,
        "other spelling": token + "=",
    }[how]
    with plain_client(here.service.url) as stranger:
        answer = stranger.get(f"/previews/{wrong}")
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "This link shows nothing (any more). Ask for a new one.",
        )
        assert stranger.get(f"/previews/{wrong}/frame/hello").status_code == 404


def test_link_ends_after_seven_days_and_with_its_preview(tmp_path: Path) -> None:
    with deployed(tmp_path, email_templates_previews="refs/pull/*/head") as here:
        here.look()
        here.until("synced")
        here.repository.propose(7, hello=changed("Salut"))
        here.repository.propose(8, hello=changed("Coucou"))
        here.look_at_previews()
        old, gone = link(here), link(here, "pr-8")
        with plain_client(here.service.url) as stranger:
            here.clock.forward(seconds=timedelta(days=6, hours=23).total_seconds())
            here.look()
            assert stranger.get(old).status_code == 200
            here.clock.forward(seconds=3_600)
            assert stranger.get(old).status_code == 404
            gone = link(here, "pr-8")
            assert stranger.get(gone).status_code == 200
            here.repository.withdraw(8)
            here.look()
            here.look_at_previews()
            assert stranger.get(gone).status_code == 404
            here.repository.propose(8, hello=changed("Encore"))
            here.look_at_previews()
            assert stranger.get(link(here, "pr-8")).status_code == 200
            assert stranger.get(gone).status_code == 404, "a link of an earlier preview of this name"


def test_previews_show_nothing_of_real_sends(here: DeployedService, client: httpx.Client) -> None:
    admin = here.service.admin
    variables = {"name": "Canarie Adjovi"}
    body = {"to": CANARY, "template_key": "hello", "variables": variables, "metadata": {"n": "canary-1"}}
    admin.post("/api/v1/email/send", json=body).raise_for_status()
    here.repository.propose(9, hello=changed("Encore"))
    here.look()
    here.look_at_previews()
    place = link(here, "pr-9")
    shown = [
        admin.get("/api/v1/email/previews"),
        admin.get("/api/v1/email/previews/pr-9"),
        client.get(PAGE),
        client.get(f"{PAGE}/pr-9"),
        client.get(f"{PAGE}/pr-9/frame/hello"),
        httpx.get(f"{here.service.url}{place}"),
        httpx.get(f"{here.service.url}{place}/frame/hello?side=before"),
    ]
    for answer in shown:
        assert answer.status_code == 200, answer.url
        assert not re.search(r"canar|adjovi", answer.text, re.IGNORECASE), answer.url


def test_previews_page_says_how_to_have_them_where_there_are_none(tmp_path: Path) -> None:
    with deployed(tmp_path) as here, signed_in(here.service) as client:
        here.look()
        here.until("synced")
        assert "EMAIL_TEMPLATES_PREVIEWS" in client.get(PAGE).text
        assert client.get(f"{PAGE}/pr-7").status_code == 404
        assert here.service.admin.get("/api/v1/email/previews").json() == {"items": [], "total": 0}
