"""The pages of the audit log: lists, one message, one person, the overview."""

import csv
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

from tests.support.pages import form_token, signed_in
from tests.support.running import Running
from tests.support.samples import WELCOME
from tests.support.sends import send_invoice


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with signed_in(service) as browser:
        yield browser


def tomorrow(service: Running) -> str:
    return (service.services.clock() + timedelta(days=1)).isoformat()


def send(service: Running, to: str, **more: object) -> str:
    answer = service.send("onboarding_welcome", to, WELCOME, **more)
    message_id: str = answer.json()["messages"][0]["id"]
    return message_id


def test_messages_page_finds_by_recipient_and_says_what_became_of_each(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "found@example.com")
    service.until(message_id, "sent")
    page = client.get("/admin/messages", params={"to": "Found@example.com", "status": "sent"})
    assert page.status_code == 200
    assert f'href="/admin/messages/{message_id}"' in page.text
    assert ">1 message</h2>" in page.text
    assert "Messages in 14 days: 1." in page.text
    page = client.get("/admin/messages", params={"to": "found@example.com", "status": "bounced"})
    assert message_id not in page.text


def test_messages_page_tells_a_wrong_filter_beside_the_form(client: httpx.Client) -> None:
    page = client.get("/admin/messages", params={"to": "nobody", "since": "yesterday"})
    assert page.status_code == 422
    assert 'value="nobody"' in page.text
    assert page.text.count('<li lang="en">') == 2


def test_messages_form_takes_times_by_the_clock_of_the_page(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "clocks@example.com")
    # Benin is an hour ahead of UTC all the year.
    hour = service.services.clock().hour
    today = f"{service.services.clock():%Y-%m-%d}"
    for since, there in ((f"{today}T00:00", hour < 23), ("2099-01-01T00:00", False)):
        page = client.get("/admin/messages", params={"to": "clocks@example.com", "since": since})
        assert (message_id in page.text) is there or hour == 23


def test_messages_pages_follow_each_other_by_cursor(service: Running, client: httpx.Client) -> None:
    to = [f"page{n}@example.com" for n in range(51)]
    service.send("onboarding_welcome", ", ".join(to), WELCOME, source_endpoint="paging")
    first = client.get("/admin/messages", params={"source_endpoint": "paging"})
    following = re.search(r'<a class="button" href="([^"]+)" rel="next">', first.text)
    assert following
    second = client.get(following[1].replace("&amp;", "&"))
    seen = [set(re.findall(r"page\d+@example\.com", page.text)) for page in (first, second)]
    assert [len(part) for part in seen] == [50, 1]
    assert seen[0] | seen[1] == set(to)


def test_message_page_tells_its_history_in_words(service: Running, client: httpx.Client) -> None:
    message_id = send_invoice(service, "words@example.com")["messages"][0]["id"]
    service.until(message_id, "sent")
    page = client.get(f"/admin/messages/{message_id}")
    assert re.search(
        r"accepted by 127\.0\.0\.1 at \d\d:\d\d:\d\d with 250 2\.0\.0 Ok: queued as mailbox-\d+", page.text
    )
    french = client.get(f"/admin/messages/{message_id}", headers={"Accept-Language": "fr"}).text
    assert re.search(r"accepté par 127\.0\.0\.1 à \d\d:\d\d:\d\d avec 250", french)
    assert "facture février.pdf" in page.text
    assert client.get(f"/admin/messages/{message_id}/attachments/0").content.startswith(b"%PDF")
    raw = client.get(f"/admin/messages/{message_id}/raw")
    assert raw.content == service.admin.get(f"/api/v1/email/messages/{message_id}/raw").content
    assert "attachment" in raw.headers["content-disposition"]


def test_message_page_shows_the_mail_in_a_frame_of_its_own(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "frame@example.com")
    page = client.get(f"/admin/messages/{message_id}")
    assert f'src="/admin/messages/{message_id}/frame"' in page.text
    assert "srcdoc" not in page.text
    frame = client.get(f"/admin/messages/{message_id}/frame")
    assert frame.headers["content-security-policy"].startswith("sandbox allow-popups")
    assert "frame-ancestors 'self'" in frame.headers["content-security-policy"]


def test_message_page_sends_a_message_again(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "again@example.com")
    token = form_token(client.get(f"/admin/messages/{message_id}"))
    refused = client.post(f"/admin/messages/{message_id}/resend", data={"form_token": "wrong"})
    assert refused.status_code == 403
    answer = client.post(f"/admin/messages/{message_id}/resend", data={"form_token": token})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"])
    assert f'href="/admin/messages/{message_id}"' in page.text  # the message it resends
    assert 'role="status"' in page.text


def test_message_page_cancels_a_scheduled_message(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "later@example.com", send_at=tomorrow(service))
    page = client.get(f"/admin/messages/{message_id}")
    client.post(f"/admin/messages/{message_id}/cancel", data={"form_token": form_token(page)})
    page = client.get(f"/admin/messages/{message_id}")
    assert '<span class="badge cancelled">' in page.text
    assert "/cancel" not in page.text


def test_message_page_keeps_the_words_of_a_caller_as_text(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "hostile@example.com", metadata={"<img src=x>": "<script>alert(1)</script>"})
    page = client.get(f"/admin/messages/{message_id}")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_suppression_of_a_recipient_is_made_and_lifted_on_a_page(service: Running, client: httpx.Client) -> None:
    address = "per+son@example.com"
    token = form_token(client.get("/admin/suppressions"))
    added = client.post(
        "/admin/suppressions", data={"form_token": token, "address": address, "reason": "asked by phone"}
    )
    assert added.headers["location"] == "/admin/suppressions?address=per%2Bson%40example.com&done=added"
    assert "asked by phone" in client.get(added.headers["location"]).text
    service.until(send(service, address), "suppressed")
    page = client.get(f"/admin/recipients/{address}")
    assert '<span class="badge suppressed">' in page.text
    lift = re.search(r'action="(/admin/suppressions/[^"]+/lift)"', page.text)
    assert lift
    answer = client.post(lift[1], data={"form_token": token, "next": f"/admin/recipients/{address}"})
    assert answer.headers["location"] == f"/admin/recipients/{address}?done=lifted"
    assert "/lift" not in client.get(answer.headers["location"]).text


def test_overview_page_says_what_waits_and_updates(service: Running, client: httpx.Client) -> None:
    send(service, "waits@example.com", send_at=tomorrow(service))
    assert "Queued" in client.get("/admin").text
    with client.stream("GET", "/admin/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: part"
        assert '"id": "overview-figures"' in next(line for line in lines if line.startswith("data:"))


def test_messages_page_finds_by_words(service: Running, client: httpx.Client) -> None:
    message_id = send(service, "words@verbatim.example", metadata={"ticket": "Réf-4711"})
    for text in ("ref 4711", "VERBATIM", "bienv* 4711"):
        assert message_id in client.get("/admin/messages", params={"text": text}).text
    assert message_id not in client.get("/admin/messages", params={"text": "4711 absent"}).text
    listed = service.admin.get("/api/v1/email/messages", params={"text": "4711"}).json()
    assert [item["id"] for item in listed["items"]] == [message_id]
    assert service.admin.get("/api/v1/email/messages", params={"text": "- ?"}).status_code == 422


def test_recipient_page_exports_a_person_without_formulas_and_erases(service: Running, client: httpx.Client) -> None:
    address = "=cmd|x@example.com"
    message_id = send(service, address, metadata={"note": "kept"})
    service.until(message_id, "sent")
    here = f"/admin/recipients/{quote(address, safe='')}"
    exported = client.get(f"{here}/export/json")
    assert "attachment" in exported.headers["content-disposition"]
    assert [item["metadata"] for item in exported.json()["messages"]] == [{"note": "kept"}]
    rows = list(csv.reader(client.get(f"{here}/export/csv").content.decode("utf-8-sig").splitlines()))
    assert rows[1][0] == message_id
    token = form_token(client.get(here))
    assert client.post(f"{here}/erase", data={"form_token": token}).status_code == 422
    assert client.post(f"{here}/erase", data={"form_token": token, "sure": "yes"}).status_code == 303
    page = client.get(f"/admin/messages/{message_id}")
    assert "cmd" not in page.text
    assert "anonymised; its content has been deleted" in page.text
    assert client.get(f"/admin/messages/{message_id}/frame").status_code == 410
