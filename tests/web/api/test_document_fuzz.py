"""Requests of every kind over the OpenAPI document, right and wrong in any place: none is answered with 5xx.

`--long` makes 10,000 of them. Each request begins as the document describes it, and is then spoilt in some of its
parts; so most get beyond the first check. (schemathesis does the same; its jsonschema-rs is older than ours.)
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.checkouts import copy_templates
from tests.support.running import ADMIN_TOKEN, Running, running, settings_for
from tests.support.samples import INVOICE, WELCOME, pdf_attachment

USUAL, LONG = 300, 10_000

#: Texts that some reader of ours may take amiss: numbers, times, identifiers, markup, encodings and their ends.
TEXTS = (
    "", " ", "\x00", "a\x00b", "\x7f\x1b", "\n", "a\r\nb: c", "\ufffe", "\U0010ffff", "\u202e", "é" * 300, "x" * 5_000,
    "0", "-1", "1e999", "NaN", "null", "true", "99999999999999999999", "-99999999999999999999", "²", "٣",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-W01-1T00:00Z", "20261224",
    "2026-01-01T00:00:00", "2026-01-01T00:00:00+23:59", "2026-01-01T24:00:00Z",
    "..", "../../etc/passwd", "%", "%00", "%ff", "a/b", "//[", "http://[::1", "?", "#", "{}", "{{ 1 }}", "{% raw %}",
    "<mjml>", "<script>", "'", '"', "\\", "';--", "a*", "*", "* *", "a b c d e f g h i j k l",
    "a@example.com", "a@[127.0.0.1]", '"a b"@example.com', "a@b@c", "a@bücher.example", "=?utf-8?q?a?=@example.com",
    "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwieCJd", "WzFd", "bm8", "e30=",
    "onboarding_welcome", "fr", "fr-BJ", "queued", "all", "marketing",
)  # fmt: skip
VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 2**63, 2**64, -(2**70), 0.1, 1e308, [], {}, [[]], {"": ""}, {"a": {"b": [1]}}, ["a"],
)  # fmt: skip
#: Bodies that are no JSON text, or no object.
BYTES = (
    b"",
    b"{",
    b"\xff\xfe",
    b'"\xed\xa0\x80"',
    b"[]",
    b"null",
    b'{"to": 1, "to": 2}',
    b"[" * 5_000,
    b"\x00",
    b"&a=b" * 50,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory: Path = tmp_path_factory.mktemp("fuzz")
    copy_templates(directory / "templates", "onboarding_welcome")
    settings = settings_for(directory, email_templates_dir=directory / "templates")
    with running(settings) as started:
        yield started


class Fuzz:
    """Makes requests by the document; `chance` is the only source of randomness."""

    def __init__(self, document: Mapping[str, Any], known: Mapping[str, str], chance: random.Random) -> None:
        self._document = document
        self._known = known
        self._chance = chance
        self._operations = [
            (method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()
        ]

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, target, headers and body of one more request."""
        method, path, operation = self._chance.choice(self._operations)
        query, headers = [], {}
        for parameter in operation.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path":
                value = self._known.get(name, "nothing") if self._chance.random() < 0.7 else self._text()
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            elif self._chance.random() < 0.3:
                if parameter["in"] == "query":
                    value = self._text() if name != "wait_s" else self._chance.choice(("0", "0.001", "x", "-1", "nan"))
                    query += [f"{quote(name)}={quote(value, safe='')}"] * self._chance.choice((1, 1, 1, 2))
                else:
                    headers[name] = self._header()
        if self._chance.random() < 0.5:
            headers["Authorization"] = f"Bearer {ADMIN_TOKEN}"
        elif self._chance.random() < 0.1:
            headers["Authorization"] = self._header()
        if self._chance.random() < 0.2:
            name = self._chance.choice(
                ("Accept", "Accept-Language", "Content-Type", "Cookie", "Origin", "X-Forwarded-For")
            )
            headers[name] = self._header()
        return method.upper(), path + (f"?{'&'.join(query)}" if query else ""), headers, self._body(operation)

    def _text(self) -> str:
        return self._chance.choice(TEXTS)

    def _header(self) -> str:
        return self._text().encode("utf-8").decode("latin-1").translate(dict.fromkeys(range(32))).strip() or "x"

    def _body(self, operation: Mapping[str, Any]) -> bytes:
        if self._chance.random() < 0.1:
            return self._chance.choice(BYTES)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return b"" if self._chance.random() < 0.8 else b"{}"
        body = json.loads(json.dumps(content.get("example", {"source": "x"})))
        for name in self._schema(content["schema"]).get("properties", {}):
            if name in OPTIONAL and self._chance.random() < 0.3:
                body[name] = json.loads(json.dumps(OPTIONAL[name]))
        for _ in range(self._chance.choice((0, 0, 1, 1, 2, 3))):
            body = self._spoilt(body)
        return json.dumps(body).encode()

    def _schema(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found

    def _spoilt(self, value: Any) -> Any:
        """The value with one part of it changed, added or left out."""
        if isinstance(value, dict) and value and self._chance.random() < 0.9:
            name = self._chance.choice(list(value))
            what = self._chance.random()
            if what < 0.1:
                del value[name]
            elif what < 0.2:
                value[self._text()] = value[name]
            else:
                value[name] = self._spoilt(value[name])
            return value
        if isinstance(value, list) and value and self._chance.random() < 0.9:
            n = self._chance.randrange(len(value))
            value[n] = self._spoilt(value[n])
            return value
        return self._text() if self._chance.random() < 0.7 else self._chance.choice(VALUES)


#: Values of fields that the document's examples leave out.
OPTIONAL: Mapping[str, Any] = {
    "variables": WELCOME,
    "attachments": [pdf_attachment("a.pdf")],
    "metadata": {"order": 7},
    "reply_to": "b@example.com",
    "source_endpoint": "tests",
    "send_at": "2030-01-01T00:00:00Z",
    "locale": "fr",
    "template_version": 1,
    "example": "default",
    "to": "c@example.com",
    "message": "a commit",
    "text": "Bonjour",
    "examples": {"default": INVOICE},
    "locales": {"en": "<mjml></mjml>"},
    "reason": "by hand",
    "scope": "marketing",
}


def test_requests_over_the_document_are_never_answered_with_5xx(
    service: Running, request: pytest.FixtureRequest, randomly_seeded: random.Random
) -> None:
    sent = service.send("onboarding_welcome", "a@example.com", WELCOME).raise_for_status().json()
    held = service.admin.post("/api/v1/email/suppressions", json={"address": "held@example.com"}).json()
    known = {
        "message_id": sent["messages"][0]["id"],
        "key": "onboarding_welcome",
        "number": "1",
        "n": "0",
        "suppression_id": held["id"],
        "address": "a@example.com",
        "mail_id": "1",
    }
    fuzz = Fuzz(service.client.get("/openapi.json").json(), known, randomly_seeded)
    failed, statuses = [], set()
    with httpx.Client(base_url=service.url, timeout=60) as client:
        for _ in range(LONG if request.config.getoption("--long") else USUAL):
            method, target, headers, body = fuzz.request()
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            answer = client.request(method, target, headers=raw, content=body)
            statuses.add(answer.status_code)
            # 503 is an answer to a template that never compiled, and to git that fails: neither is here.
            if answer.status_code >= 500:
                failed.append((answer.status_code, method, target, headers, body[:500]))
    assert failed == []
    assert {200, 401, 404, 422} <= statuses


@pytest.fixture
def randomly_seeded() -> random.Random:
    """Another one in each run, which pytest-randomly seeds, and repeats with `--randomly-seed=N`."""
    return random.Random(random.getrandbits(64))
