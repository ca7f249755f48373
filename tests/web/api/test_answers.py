"""The answers of the HTTP API, byte for byte but for identifiers and times: callers script against them.

`pytest tests/web/api/test_answers.py --snapshot-update` records them anew, which is a change of the interface.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.checkouts import MAIL, write_mail
from tests.support.running import Running, eventually, running, settings_for

API = "/api/v1/email"
#: Headers of the HTTP server itself, and those whose value follows from the body.
NOT_RECORDED = {"date", "content-length", "connection", "transfer-encoding"}
#: What differs from run to run, in the order in which it is replaced.
VARYING = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r'"last_30_days":(null|\{[^}]*\})', '"last_30_days":"<figures>"'),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<date>"),
    (r"[0-9a-f]{64}", "<sha256>"),
    (r"(X-RGZ-Template: \S+) [0-9a-f]{12}", r"\1 <revision>"),
    (r"127\.0\.0\.1:\d+", "<host>"),
    (r"<id>@[\w.-]+", "<message-id>"),
    (r"=_[0-9a-zA-Z_.-]{8,}", "<boundary>"),
    (r'"html":"(?:[^"\\\\]|\\\\.)*"', '"html":<html>'),  # what is rendered has tests of its own
    (r"(?s)<!doctype html>.*<title>(.*)</title>.*", r"<page: \1>"),
    (r'"next":"[^"]+"', '"next":<cursor>'),
    (r'"took_seconds":[\d.]+', '"took_seconds":<seconds>'),
    (r'"lifted_by":"[^"]*"', '"lifted_by":<who>'),
    (r"[0-9a-f]{32}", "<number>"),
    (r"\b[0-9a-f]{16}\b", "<key or client>"),
)


class Recorder:
    """Asks the service, and writes down what it answers."""

    def __init__(self, service: Running) -> None:
        self.service = service
        self.answers: dict[str, Any] = {}
        self.document = service.client.get("/openapi.json").json()

    def ask(self, method: str, path: str, *, client: httpx.Client | None = None, **more: Any) -> httpx.Response:
        answer = (client or self.service.admin).request(method, path, **more)
        body = answer.content
        said = answer.headers.get("content-length")
        assert said is None or int(said) == len(body), (method, path, said)
        name = f"{len(self.answers) + 1:02} {method} {normal(path)}"
        headers = {key: value for key, value in answer.headers.items() if key not in NOT_RECORDED}
        if "allow" in headers:  # a set, in any order
            headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))
        self.answers[name] = {
            "status": answer.status_code,
            "headers": [f"{key}: {normal(value)}" for key, value in sorted(headers.items())],
            "body": normal(body.decode("utf-8", "backslashreplace")),
        }
        self._compare_with_document(answer)
        return answer

    def _compare_with_document(self, answer: httpx.Response) -> None:
        """What /openapi.json says of this answer must be true: clients are generated from it."""
        path = answer.request.url.path.rstrip("/")
        for template, methods in self.document["paths"].items():
            one = methods.get(answer.request.method.lower())
            if one is None or not re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                continue
            said = one["responses"]
            described = said.get(str(answer.status_code), said["default"] if answer.status_code >= 400 else None)
            assert described is not None, (template, answer.status_code)
            kind = answer.headers.get("content-type", "").partition(";")[0]
            if kind.endswith("json"):
                schema = {"components": self.document["components"], **described["content"][kind]["schema"]}
                jsonschema_rs.validator_for(schema).validate(answer.json())
            return


def normal(text: str) -> str:
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    write_mail(tmp_path / "mails")
    write_mail(tmp_path / "mails", "broken", MAIL.replace("{{ name }}{%", "{{ nobody }}{%"))
    marketing = MAIL.replace("category: support\n", "category: news\nstream: marketing\n")
    write_mail(tmp_path / "mails", "news", marketing)
    filed = "attachments: {allowed: true, types: [pdf]}\nvariables:"
    write_mail(tmp_path / "mails", "filed", MAIL.replace("variables:", filed))
    with running(settings_for(tmp_path, email_templates_dir=tmp_path / "mails")) as service:
        # What is sent from now on names its deployment.
        eventually(lambda: service.services.catalogue.current.deployment_id, bool)
        yield Recorder(service)


def test_answers_to_sends_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, anonymous = recorder.ask, recorder.service.client
    send = {"to": "ann@example.com", "template_key": "hello", "variables": {"name": "Ann"}}
    ask("POST", f"{API}/send", json=send)
    ask("POST", f"{API}/send", json={**send, "to": ["ann@example.com", "ben@example.com"]}, client=anonymous)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    ask("POST", f"{API}/send", content=json.dumps(send), headers=form)
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": "one"})
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": "one"})
    ask("POST", f"{API}/send", json={**send, "to": "x@example.com"}, headers={"Idempotency-Key": "one"})
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": ""})
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": "null"})
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": "null"})
    ask("POST", f"{API}/send", json=send, headers={"Idempotency-Key": "k" * 256})
    ask("POST", f"{API}/send")
    ask("POST", f"{API}/send", content=b"{")
    ask("POST", f"{API}/send", content=b'{"to": NaN}')
    ask("POST", f"{API}/send", content=b"[]")
    ask("POST", f"{API}/send", json={"to": 1, "template_key": "", "variables": [], "locale": "FR", "colour": "red"})
    ask("POST", f"{API}/send", json={**send, "attachments": [{"filename": 1}, {"data_base64": "!"}]})
    ask("POST", f"{API}/send", json={**send, "variables": {"amount": -1, "other": 2}})
    ask("POST", f"{API}/send", json={**send, "to": "no address", "send_at": "tomorrow"})
    ask("POST", f"{API}/send", json={**send, "template_key": "nowhere"})
    ask("POST", f"{API}/send", json={**send, "template_key": "broken"})
    ask("POST", f"{API}/send", json={**send, "template_version": 9})
    ask("POST", f"{API}/send", json=send, headers={"Authorization": "Bearer nobody"})
    ask("GET", f"{API}/send")
    batch = {"template_key": "hello", "messages": [{"to": "ann@example.com", "variables": {"name": "Ann"}}]}
    ask("POST", f"{API}/send/batch", json=batch)
    ask("POST", f"{API}/send/batch", json=batch, headers={"Idempotency-Key": "two"})
    ask("POST", f"{API}/send/batch", json=batch, headers={"Idempotency-Key": "two"})
    ask("POST", f"{API}/send/batch", json={"template_key": "hello", "messages": []})
    ask("POST", f"{API}/send/batch", json={"template_key": "hello", "messages": [{"to": 1}, {"variables": {"x": 1}}]})
    ask("POST", f"{API}/send/batch", json={"template_key": "hello", "messages": [{"to": "a@b.example"}]})
    ask("POST", f"{API}/send/batch", content=b"nonsense", headers=form)
    ask("POST", f"{API}/webhook")
    ask("POST", f"{API}/webhook", content=b"{}")
    ask("POST", f"{API}/webhook", json={"Type": "Notification", "MessageId": "1"}, client=anonymous)
    ask("GET", f"{API}/webhook")
    assert recorder.answers == snapshot


def test_answers_about_templates_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, anonymous = recorder.ask, recorder.service.client
    ask("GET", f"{API}/templates")
    ask("GET", f"{API}/templates/", client=anonymous)
    shown = ask("GET", f"{API}/templates/hello")
    ask("GET", f"{API}/templates/hello", headers={"If-None-Match": shown.headers["etag"]})
    ask("GET", f"{API}/templates/hello", headers={"If-None-Match": '"other", W/' + shown.headers["etag"]})
    ask("GET", f"{API}/templates/broken")
    ask("GET", f"{API}/templates/nowhere")
    ask("GET", f"{API}/templates/hello/versions")
    recorder.service.send("hello", "ann@example.com", {"name": "Ann"}).raise_for_status()
    ask("GET", f"{API}/templates/hello/versions")
    ask("GET", f"{API}/templates/hello/versions/1")
    ask("GET", f"{API}/templates/hello/versions/2")
    ask("GET", f"{API}/templates/hello/versions/x")
    ask("POST", f"{API}/templates/hello/test")
    ask("POST", f"{API}/templates/hello/test", json={})
    ask("POST", f"{API}/templates/hello/test", json={"variables": {"name": "Ben"}, "to": "ben@example.com"})
    ask("POST", f"{API}/templates/hello/test", json={"variables": {"amount": -1}, "example": 1, "other": 2})
    ask("POST", f"{API}/templates/hello/test", json={"variables": {"amount": -1, "other": 1}})
    ask("POST", f"{API}/templates/hello/test", json={"example": "none"})
    ask("POST", f"{API}/templates/broken/test", json={})
    ask("POST", f"{API}/templates/nowhere/test", json={})
    ask("POST", f"{API}/templates/hello/test", json={}, client=anonymous)
    second = MAIL.replace("version: 1", "version: 2")
    ask("PUT", f"{API}/templates/hello", json={"source": second})
    ask("PUT", f"{API}/templates/hello", json={"source": second}, headers={"If-Match": '"old"'})
    ask("PUT", f"{API}/templates/hello", json={"source": second}, headers={"If-None-Match": "*"})
    ask("PUT", f"{API}/templates/hello", json={"source": 1, "more": 2}, headers={"If-Match": "*"})
    ask("PUT", f"{API}/templates/hello", headers={"If-Match": "*"})
    wrong = second.replace("{{ name }}", "{{ nobody }}")
    ask("PUT", f"{API}/templates/hello", json={"source": wrong}, headers={"If-Match": "*"})
    ask("PUT", f"{API}/templates/hello", json={"source": second}, headers={"If-Match": shown.headers["etag"]})
    ask("PUT", f"{API}/templates/other", json={"source": MAIL}, headers={"If-None-Match": "*"})
    ask("PUT", f"{API}/templates/Not-A-Key", json={"source": MAIL}, headers={"If-None-Match": "*"})
    ask("DELETE", f"{API}/templates/other")
    ask("DELETE", f"{API}/templates/other", headers={"If-Match": '"old"'})
    ask("DELETE", f"{API}/templates/other", headers=[("If-Match", '"old"'), ("If-Match", "*")])
    ask("DELETE", f"{API}/templates/other", headers={"If-Match": "*"})
    ask("DELETE", f"{API}/templates/hello", headers={"If-Match": "*"}, client=anonymous)
    ask("PATCH", f"{API}/templates/hello")
    assert recorder.answers == snapshot


def test_answers_about_messages_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, service = recorder.ask, recorder.service
    body = {"to": "ann@example.com", "template_key": "filed", "variables": {"name": "Ann", "amount": 7}}
    pdf = {"filename": "a é.pdf", "content_type": "application/pdf", "data_base64": "JVBERi0xLjQKJSVFT0YK"}
    sent = service.admin.post(f"{API}/send", json={**body, "attachments": [pdf], "metadata": {"a": 1}})
    message = sent.raise_for_status().json()["messages"][0]["id"]
    service.until(message, "sent")
    later = {
        **body,
        "to": "zoe@example.com",
        "send_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "locale": "en",
        "reply_to": "r@b.example",
    }
    queued = service.admin.post(f"{API}/send", json=later).raise_for_status().json()["messages"][0]["id"]
    ask("GET", f"{API}/messages")
    ask("GET", f"{API}/messages/", params={"to": "ANN@example.com", "limit": "1"})
    first = ask("GET", f"{API}/messages", params={"limit": "1"}).json()
    following = service.admin.get(f"{API}/messages", params={"limit": "1", "cursor": first["next"]}).json()
    assert [item["id"] for item in following["items"]] == [message]
    ask("GET", f"{API}/messages", params={"status": "queued", "template_key": "filed"})
    ask("GET", f"{API}/messages", params={"status": "nonsense", "since": "yesterday"})
    ask("GET", f"{API}/messages", params={"to": "null"})
    ask("GET", f"{API}/messages", params={"to": ""})
    ask("GET", f"{API}/messages", params={"limit": "0"})
    ask("GET", f"{API}/messages", params={"limit": "1001"})
    ask("GET", f"{API}/messages", params={"limit": "many"})
    ask("GET", f"{API}/messages", params={"limit": ""})
    ask("GET", f"{API}/messages", params={"cursor": "nonsense"})
    ask("GET", f"{API}/messages?to=a&to=b&colour=red&limit=x")
    ask("GET", f"{API}/messages", params={"source_endpoint": "admin", "until": "2000-01-01T00:00:00Z"})
    ask("GET", f"{API}/messages", client=service.client)
    ask("GET", f"{API}/messages/{message}")
    ask("GET", f"{API}/messages/{queued}")
    ask("GET", f"{API}/messages/nothing")
    ask("GET", f"{API}/messages/{message}", client=service.client)
    for part in ("html", "text", "raw", "attachments/0", "attachments/1", "attachments/x", "nothing"):
        ask("GET", f"{API}/messages/{message}/{part}")
    ask("GET", f"{API}/messages/nothing/html")
    ask("GET", f"{API}/messages/{queued}/raw")
    ask("POST", f"{API}/messages/{message}/cancel")
    ask("POST", f"{API}/messages/{queued}/cancel")
    ask("POST", f"{API}/messages/{queued}/cancel")
    ask("POST", f"{API}/messages/nothing/cancel")
    ask("POST", f"{API}/messages/nothing/resend")
    ask("POST", f"{API}/messages/{queued}/resend", client=service.client)
    copy = ask("POST", f"{API}/messages/{message}/resend").json()["id"]
    service.until(copy, "sent")
    service.mails("ann@example.com")
    listed = ask("GET", "/dev/mailbox/messages", params={"to": "ann@example.com"}, client=service.client).json()
    ask("GET", f"/dev/mailbox/messages/{listed['items'][0]['id']}/raw", client=service.client)
    ask("GET", "/dev/mailbox/messages/nothing/raw", client=service.client)
    ask("GET", "/dev/mailbox/messages", params={"wait_s": "61"}, client=service.client)
    ask("GET", "/dev/mailbox/messages", params={"wait_s": "soon"}, client=service.client)
    ask("GET", "/dev/mailbox/messages", headers={"Origin": "https://evil.example"}, client=service.client)
    ask("DELETE", "/dev/mailbox/messages", client=service.client)
    ask("GET", "/dev/mailbox/messages/", client=service.client)
    assert recorder.answers == snapshot


def test_answers_about_recipients_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, service = recorder.ask, recorder.service
    sent = service.send("hello", "ann@example.com", {"name": "Ann"}).raise_for_status().json()["messages"][0]["id"]
    service.until(sent, "sent")
    ask("GET", f"{API}/suppressions")
    ask("POST", f"{API}/suppressions", json={"address": "Ann@Example.com", "reason": "asked by telephone"})
    ask("POST", f"{API}/suppressions", json={"address": "ann@example.com"})
    made = ask("POST", f"{API}/suppressions", json={"address": "ben@example.com", "scope": "marketing"}).json()["id"]
    ask("POST", f"{API}/suppressions")
    ask("POST", f"{API}/suppressions", json={"address": "nobody", "scope": "some"})
    ask("POST", f"{API}/suppressions", json={"address": "nobody"})
    ask("POST", f"{API}/suppressions", json={"address": 1, "reason": "", "who": "me"})
    ask("GET", f"{API}/suppressions", params={"limit": "1"})
    ask("GET", f"{API}/suppressions", params={"address": "ben@example.com", "scope": "marketing", "lifted": "true"})
    ask("GET", f"{API}/suppressions", params={"scope": "some"})
    ask("GET", f"{API}/suppressions", params={"lifted": "yes"})
    ask("GET", f"{API}/suppressions", params={"limit": "x", "lifted": "yes"})
    ask("GET", f"{API}/suppressions", params={"nothing": "x"})
    ask("GET", f"{API}/suppressions/{made}")
    ask("GET", f"{API}/suppressions/nothing")
    ask("DELETE", f"{API}/suppressions/{made}", params={"why": "asked"})
    ask("DELETE", f"{API}/suppressions/{made}", params={"reason": "asked"})
    ask("DELETE", f"{API}/suppressions/{made}")
    ask("DELETE", f"{API}/suppressions/nothing")
    ask("GET", f"{API}/suppressions", client=service.client)
    ask("GET", f"{API}/recipients/ann@example.com")
    ask("GET", f"{API}/recipients/nobody")
    ask("POST", f"{API}/recipients/ann@example.com/erase", params={"dry_run": "true"})
    ask("POST", f"{API}/recipients/ann@example.com/erase", params={"dry_run": "yes", "suppress": "no"})
    ask("POST", f"{API}/recipients/ann@example.com/erase", params={"dryrun": "true"})
    ask("POST", f"{API}/recipients/ann@example.com/erase", params={"suppress": "false"})
    ask("GET", f"{API}/recipients/ann@example.com")
    ask("GET", f"{API}/messages/{sent}/html")
    news = service.send("news", "zoe@example.com", {"name": "Zoé"}).raise_for_status().json()["messages"][0]["id"]
    service.until(news, "sent")
    raw = service.raw(service.mails("zoe@example.com")[0]["id"]).decode()
    found = re.search(r"/unsubscribe/([^>\s]+)", raw.replace("\r\n ", ""))
    assert found is not None
    token = found[1]
    for method in ("GET", "POST", "GET"):
        answer = ask(method, f"{API}/unsubscribe/{token}", client=service.client, headers={"Accept-Language": "en"})
        name, _ = list(recorder.answers.items())[-1]
        recorder.answers[name.replace(token, "<token>")] = recorder.answers.pop(name)
        assert answer.status_code == 200
    ask("GET", f"{API}/unsubscribe/nonsense", client=service.client)
    ask("POST", f"{API}/unsubscribe/nonsense", client=service.client)
    assert recorder.answers == snapshot


def test_answers_about_admin_actions_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, service = recorder.ask, recorder.service
    actions = f"{API}/admin-actions"
    ask("GET", actions)
    with service.key("billing", "send") as billing:
        assert billing.get(actions).status_code == 403
    service.client.get(actions, headers={"Authorization": "Bearer nobody"})
    service.admin.get(f"{API}/recipients/ann@example.com").raise_for_status()
    first = ask("GET", actions, params={"limit": "1"}).json()
    ask("GET", actions, params={"limit": "1", "cursor": first["next"]})
    ask("GET", actions, params={"kind": "key_refused"})
    ask("GET", actions, params={"actor": "billing"})
    ask("GET", actions, params={"person": "Ann@Example.com", "since": "2026-01-01T00:00:00Z"})
    ask("GET", actions, params={"until": "2026-01-01T00:00:00Z"})
    ask("GET", actions, headers={"Accept": "text/csv"})
    ask("GET", actions, params={"kind": "x", "person": "x", "since": "x", "until": "x", "limit": "0"})
    ask("GET", actions, params={"cursor": "x"})
    ask("GET", actions, params={"color": "red"})
    ask("GET", actions, client=service.client)
    ask("POST", actions)
    assert recorder.answers == snapshot


def test_answers_about_health_stay_the_same(recorder: Recorder, snapshot: SnapshotAssertion) -> None:
    ask, anonymous = recorder.ask, recorder.service.client
    eventually(lambda: anonymous.get("/readyz").json(), lambda found: found["status"] == "degraded")
    ask("GET", "/healthz", client=anonymous)
    ask("GET", "/readyz", client=anonymous)
    ask("GET", "/readyz", headers={"Authorization": "Bearer nobody"})
    ask("GET", "/healthz/")
    ask("POST", "/healthz")
    ask("GET", "/nothing")
    ask("GET", f"{API}/nothing")
    ask("OPTIONS", f"{API}/send")
    ask("OPTIONS", f"{API}/messages")
    assert recorder.answers == snapshot
