"""The pages of the development mailbox, and the failures that it simulates."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from service.delivery.dev_mailbox import DevMailbox
from service.mail import inspection
from service.web.pages import mailbox
from service.web.pages.mailbox import VIEWS
from tests.support.foreign_mail import foreign_mail
from tests.support.odd_mails import ODD
from tests.support.pages import form_token, signed_in
from tests.support.running import Running
from tests.support.samples import WELCOME


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with signed_in(service) as browser:
        yield browser


def keep(service: Running, mail: EmailMessage) -> str:
    return service.services.require_mailbox().keep("me@example.com", ["you@example.com"], mail.as_bytes())


def test_mailbox_page_takes_a_foreign_mail_apart_and_keeps_it_in_its_frame(
    service: Running, client: httpx.Client
) -> None:
    here = f"/admin/mailbox/{keep(service, foreign_mail())}"
    page = client.get(here)
    assert "&lt;b&gt;Étranger&lt;/b&gt;" in page.text
    assert "alert(1)" not in page.text
    frame = client.get(f"{here}/frame")
    assert "alert(1)" not in frame.text
    assert "data:image/gif;base64," in frame.text
    assert "e.example" not in frame.text
    assert frame.headers["content-security-policy"].startswith("sandbox")
    links = client.get(here, params={"view": "links"}).text
    for link in ("https://example.com/a?b=1&amp;c=2", "https://example.com/plain.", "/relative"):
        assert f">{link}</li>" in links
    assert "Outlook for Windows" in client.get(here, params={"view": "check"}).text
    assert "<dd" in client.get(here, params={"view": "headers"}).text
    assert "&lt;script&gt;" in client.get(here, params={"view": "raw"}).text


def test_mailbox_never_shows_a_file_of_a_mail_as_a_page(service: Running, client: httpx.Client) -> None:
    here = f"/admin/mailbox/{keep(service, foreign_mail())}"
    file = client.get(f"{here}/attachments/1")
    assert file.content == b"<script>alert(1)</script>"
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment")
    assert client.get(f"{here}/attachments/9").status_code == 404


def test_mailbox_shows_any_mail_in_every_view(service: Running, client: httpx.Client) -> None:
    caught = service.services.require_mailbox()
    for name, raw in ODD.items():
        here = f"/admin/mailbox/{caught.keep('me@example.com', ['you@example.com'], raw)}"
        views = VIEWS if name.startswith("surrogates") or name in ("binary", "empty") else ("html",)
        assert {client.get(here, params={"view": view}).status_code for view in views} == {200}, name
        assert client.get(f"{here}/raw").content == raw, name


def test_mailbox_shows_a_mail_as_it_came_when_its_inspection_fails(
    service: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"/admin/mailbox/{keep(service, foreign_mail())}"

    def fails(_raw: bytes) -> inspection.Inspection:
        raise IndexError("a bug of ours")

    monkeypatch.setattr(inspection, "inspect", fails)
    for view in VIEWS:
        assert client.get(here, params={"view": view}).status_code == 200
    assert "&lt;script&gt;" in client.get(here).text
    assert client.get(f"{here}/frame").text == ""


def test_mailbox_frame_embeds_an_image_as_often_as_its_size_allows(
    service: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MAX_EMBEDDED_BYTES", 2_500)
    mail = EmailMessage()
    mail.set_content('<img src="cid:a@x">' * 100, subtype="html")
    mail.add_related(b"GIF89a".ljust(1_000), "image", "gif", cid="<a@x>")
    assert client.get(f"/admin/mailbox/{keep(service, mail)}/frame").text.count("data:image/gif") == 2


def test_html_check_names_what_readers_do_not_see() -> None:
    found = {remark.code: remark.count for remark in inspection.inspect(foreign_mail().as_bytes()).remarks}
    assert found == {
        "script": 1, "form": 2, "alt": 1, "remote_image": 1, "css_layout": 1, "css_position": 1, "relative_link": 1,
        "lang": 1, "title": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff\xfe\x00", b"Content-Type: text/html; charset=none\r\n\r\n<a href=x", b"Content-Type: m/m"],
)
def test_inspection_takes_anything_that_came(raw: bytes) -> None:
    assert inspection.inspect(raw).sizes_bytes["all"] == len(raw)
    assert inspection.file(raw, 7) is None


def test_html_check_finds_nothing_in_our_own_mails(service: Running) -> None:
    service.send("onboarding_welcome", "clean@example.com", WELCOME)
    mail_id = service.mails("clean@example.com")[0]["id"]
    assert inspection.inspect(service.raw(mail_id)).remarks == []


def test_mailbox_list_updates_when_a_mail_arrives(service: Running, client: httpx.Client) -> None:
    with client.stream("GET", "/admin/mailbox/live", params={"to": "alive@example.com"}) as stream:
        lines = stream.iter_lines()
        service.send("onboarding_welcome", "alive@example.com", WELCOME)
        assert "alive@example.com" in next(line for line in lines if line.startswith("data:"))


@pytest.mark.parametrize(
    ("name", "status", "bounce"),
    [("bounce", "bounced", "NoEmail"), ("full+x", "bounced", "MailboxFull"), ("refuse", "failed", None)],
)
def test_mailbox_simulator_refuses_an_address_on_purpose(
    service: Running, name: str, status: str, bounce: str | None
) -> None:
    answer = service.send("onboarding_welcome", f"{name}@example.com", WELCOME)
    message = service.until(answer.json()["messages"][0]["id"], status)
    assert message["bounce_subtype"] == bounce


def test_mailbox_simulator_defers_an_address_once_on_purpose(service: Running) -> None:
    answer = service.send("onboarding_welcome", "delay+a@example.com", WELCOME)
    message_id = answer.json()["messages"][0]["id"]
    events = service.until(message_id, "queued")["events"]
    assert [event["type"] for event in events][:1] == ["accepted"]
    simulator = DevMailbox(max_messages=1)
    try:
        with smtplib.SMTP("127.0.0.1", simulator.start()) as smtp:
            smtp.ehlo()
            smtp.mail("a@example.com")
            assert [smtp.rcpt("delay+b@example.com")[0] for _ in range(3)] == [450, 250, 450]
    finally:
        simulator.stop()


def test_mailbox_is_emptied(service: Running, client: httpx.Client) -> None:
    token = form_token(client.get("/admin/mailbox"))
    keep(service, foreign_mail())
    client.post("/admin/mailbox/clear", data={"form_token": token})
    assert "No mail yet." in client.get("/admin/mailbox").text


def test_mailbox_page_shows_the_beginning_of_a_large_mail(service: Running, client: httpx.Client) -> None:
    mail = EmailMessage()
    mail["Subject"] = "large"
    mail.set_content("word " * 60_000)
    here = f"/admin/mailbox/{keep(service, mail)}"
    for view in ("text", "raw"):
        page = client.get(here, params={"view": view})
        assert "Only the beginning" in page.text
        assert len(page.content) < 120_000
    assert len(client.get(f"{here}/raw").content) > 300_000
