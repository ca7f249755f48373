"""Attacks on availability: each goes on until it is stopped, and returns nothing; its answers do not count."""

import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.dovecot import Dovecot
from tests.support.running import ADMIN_TOKEN
from tests.support.template_kit import front_matter, text

#: The account whose mailbox the service reads.
MAILBOX_USER = "bounces"
#: Threads of one attack.
_CALLERS = 4


@dataclass(frozen=True)
class Target:
    """What is attacked: the API, the template directory and the bounce mailbox."""

    url: str
    templates: Path
    dovecot: Dovecot

    @property
    def place(self) -> str:
        return urlsplit(self.url).netloc


Attack = Callable[[Target, threading.Event], None]


def values(target: Target, stop: threading.Event) -> None:
    """Values and file names that quadratic expressions would look at for seconds."""
    blanks = " " * 40_000
    bodies = itertools.cycle(
        [
            _send({"reseller_name": f"a \nb{blanks}x"}),
            _send({"reseller_name": "<" * 80_000}),
            _send({}, attachments=[{"filename": "a.pdf", "content_type": f"a{blanks}b", "data_base64": ""}]),
            _send({}, attachments=[{"filename": f"a{blanks}.pdf", "content_type": "x/y", "data_base64": ""}]),
        ]
    )
    _repeat(stop, lambda: _call(target, "POST", "/api/v1/email/send", next(bodies)))


def forms(target: Target, stop: threading.Event) -> None:
    """Forms of eight million fields, without a key."""
    paths = itertools.cycle(["/admin/sign-in", "/admin/look"])
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
    body = b"&a" * 8_000_000
    _repeat(stop, lambda: _call(target, "POST", next(paths), body, form))


def returned_mails(target: Target, stop: threading.Event) -> None:
    """Unsigned mails to the bounce address that take minutes to read."""
    head = b"From: a@b.example\r\nTo: bounces@example.com\r\n"
    report = b"Content-Type: message/feedback-report; charset=%s\r\n\r\n" + b"\xe9a" * 1_000_000
    mails = itertools.cycle(
        [
            head + report % b"punycode",
            head + report % b"idna",
            head + b"Subject: a" + b"\r\n b" * 690_000 + b"\r\n\r\nx",
            head + b"Subject: " + b"=?a?q?" * 300_000 + b"\r\n\r\nx",
        ]
    )
    _repeat(stop, lambda: target.dovecot.put(MAILBOX_USER, next(mails)), pause_s=2)


def template_files(target: Target, stop: threading.Event) -> None:
    """Template files that crash or end the compiler."""
    _write_templates(
        target,
        stop,
        text("<div>" * 20_000 + "</div>" * 20_000),
        text("{% for a in rows %}" * 30 + "{% endfor %}" * 30),
        text("<p>{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}</p>"),
    )


def fetches(target: Target, stop: threading.Event) -> None:
    """Style sheets that name a server which takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.css"
        styles = [f'@\\69mport url("{url}");', f'@im/**/port url("{url}");', f'@import "{url}";']
        heads = [f'<mj-style inline="inline">{style} p {{ color: red }}</mj-style>' for style in styles]
        _write_templates(target, stop, *(text("<p>a</p>").replace("<mj-head>", f"<mj-head>{head}") for head in heads))


def growth(target: Target, stop: threading.Event) -> None:
    """Templates that grow while they are compiled or rendered."""
    _write_templates(
        target,
        stop,
        text("{{ 1.5|round(200000000, 'ceil') }}"),
        text("<p>{{ rows|map('upper')|join|indent(1000) }}</p>" * 2_000),
        text("a").replace("<mj-section>", "<mj-section></mj-section>" * 15_000 + "<mj-section>"),
    )


def drafts(target: Target, stop: threading.Event) -> None:
    """Many PUT requests at once whose templates hold the compiler, and are refused in the end."""
    heavy = front_matter() + text("<p>{{ name }}</p>" * 5_000 + "{{ nobody }}")
    numbers = itertools.count()

    def publish() -> None:
        key = f"draft_{next(numbers)}"
        _call(target, "PUT", f"/api/v1/email/templates/{key}", {"source": heavy}, {"If-None-Match": "*"})

    threads = [threading.Thread(target=_repeat, args=(stop, publish)) for _ in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def connections(target: Target, stop: threading.Event) -> None:
    """Heads and bodies that never end, and batches of 60 MiB of which all but the end comes."""
    batch = b"POST /api/v1/email/send/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    batch += f"Authorization: Bearer {ADMIN_TOKEN}\r\nContent-Length: {60 * 1024**2}\r\n\r\n".encode()
    body = b"POST /api/v1/email/send HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
    while not stop.is_set():
        with ExitStack() as opened:
            for begun in [b"GET / HT"] * 300 + [body] * 100 + [batch] * 16:
                with suppress(OSError):
                    line = opened.enter_context(_line(target))
                    line.sendall(begun)
                    if begun is batch:
                        _send_slowly(line, b'{"messages": ["' + b"x" * (59 * 1024**2))
            stop.wait(5)


ATTACKS: Mapping[str, Attack] = {
    attack.__name__: attack
    for attack in (values, forms, returned_mails, template_files, fetches, growth, drafts, connections)
}


@contextmanager
def under(attack: Attack, target: Target) -> Iterator[None]:
    """Attack while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=attack, args=(target, stop), name=attack.__name__)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(120)
        assert not thread.is_alive()


def _send(variables: Mapping[str, str], **more: object) -> bytes:
    usual = {"reseller_name": "a", "validation_link": "https://rgz.bj", "estimated_duration": "7 jours"}
    body = {
        "to": "a@example.com",
        "template_key": "onboarding_welcome",
        "variables": {**usual, **variables},
        "send_at": (datetime.now(UTC) + timedelta(hours=6)).isoformat(),  # rendered now, and delivered to nobody
        **more,
    }
    return json.dumps(body).encode()


def _repeat(stop: threading.Event, work: Callable[[], object], *, pause_s: float = 0.05) -> None:
    while not stop.is_set():
        with suppress(OSError, http.client.HTTPException):
            work()
        stop.wait(pause_s)


def _call(
    target: Target, method: str, path: str, body: bytes | Mapping[str, str], headers: Mapping[str, str] | None = None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN_TOKEN}"}
    with closing(http.client.HTTPConnection(target.place, timeout=60)) as line:
        line.request(method, path, data, {**usual, **(headers or {})})
        line.getresponse().read()


def _write_templates(target: Target, stop: threading.Event, *bodies: str) -> None:
    """Save these templates in turn, as an editor would; at the end they are removed."""
    folder = target.templates / "attack"
    folder.mkdir(exist_ok=True)
    file = folder / "template.mjml"
    contents = itertools.cycle(bodies)
    numbers = itertools.count()

    def write() -> None:
        file.write_text(front_matter(more=f"# {next(numbers)}\n") + next(contents), encoding="utf-8")

    _repeat(stop, write, pause_s=1)
    file.unlink()


def _line(target: Target) -> socket.socket:
    host, _, port = target.place.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def _send_slowly(line: socket.socket, data: bytes) -> None:
    """Send as much as the service takes at once."""
    line.settimeout(0.5)
    for begin in range(0, len(data), 1 << 20):
        line.sendall(data[begin : begin + (1 << 20)])
