"""What people wait for: each page over HTTP, among a million messages on SQLite, and what a browser fetches for it.

A time is from the request to the last byte of the page, the median of several, each for another message or person; the
machine's caches are warm, as they are for the mails of these days. What is fetched is the page and all that it names,
uncompressed, the first time.
"""

import http.client
import itertools
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import quote

from benches.delivery_rates import service
from benches.invoice import KEY
from benches.message_archive import Filled, fill
from benches.report import Options, Report, Row
from service.bootstrap import Services
from service.store import search_index
from service.store.database import Transaction
from service.web import server
from service.web.app import create_app

MESSAGES = 1_000_000
TARGET_MS = 50
TARGET_KB = 200
_ROUNDS = 30
_NO_SERVER_PORT = 1
_STEP = 2_000
#: Messages whose words are indexed.
_INDEXED = 100_000

Fetch = Callable[[str], bytes]


def run(options: Options) -> Report:
    """The median of each page, and what it weighs."""
    count = max(int(MESSAGES * options.effort), 1_000)
    with service(_NO_SERVER_PORT) as services:
        began_s = time.perf_counter()
        filled = fill(services, count)
        _index(services)
        print(f"{count:,} messages are there after {time.perf_counter() - began_s:.0f} s.", file=sys.stderr)
        with _served(services) as fetch:
            rounds = max(int(_ROUNDS * options.effort), 3)
            rows = [_row(name, urls, fetch, rounds, count) for name, urls in _pages(filled).items()]
    return Report("pages", tuple(rows), {"service": version("rgz-email")})


def _pages(filled: Filled) -> Mapping[str, Iterator[str]]:
    ids, people = itertools.cycle(filled.ids), itertools.cycle(filled.people)
    messages = "/admin/messages"
    return {
        "overview": itertools.repeat("/admin"),
        "messages, the newest": itertools.repeat(messages),
        "messages to a person": (f"{messages}?to={quote(one)}" for one in people),
        "messages in trouble": itertools.repeat(f"{messages}?status=bounced"),
        "messages that wait": itertools.repeat(f"{messages}?status=queued"),
        "messages of a template": itertools.repeat(f"{messages}?template_key={KEY}"),
        "messages by two words": (f"{messages}?text=example+{one.partition('@')[0]}" for one in people),
        "messages by a word that 100,000 have": itertools.repeat(f"{messages}?text=example"),
        "a message": (f"{messages}/{one}" for one in ids),
        "a message's HTML": (f"{messages}/{one}/frame" for one in ids),
        "a person": (f"/admin/recipients/{quote(one)}" for one in people),
        "suppressions": itertools.repeat("/admin/suppressions"),
        "templates": itertools.repeat("/admin/templates"),
        "a template": itertools.repeat(f"/admin/templates/{KEY}"),
        "a template's HTML": itertools.repeat(f"/admin/templates/{KEY}/frame"),
        "a template's versions": itertools.repeat(f"/admin/templates/{KEY}/versions"),
        "the editor": itertools.repeat(f"/admin/templates/{KEY}/edit"),
        "the API": itertools.repeat("/docs"),
    }


def _row(name: str, urls: Iterator[str], fetch: Fetch, rounds: int, count: int) -> Row:
    page = fetch(next(urls))
    weight_kb = (len(page) + sum(len(fetch(url)) for url in _named_by(page))) / 1_000
    taken_s = []
    for url in itertools.islice(urls, rounds):
        began_s = time.perf_counter()
        fetch(url)
        taken_s.append(time.perf_counter() - began_s)
    median_ms = statistics.median(taken_s) * 1_000
    return Row(
        name,
        median_ms,
        "ms",
        target=f"< {TARGET_MS} ms, < {TARGET_KB} kB",
        is_met=median_ms < TARGET_MS and weight_kb < TARGET_KB,
        note=f"{weight_kb:.0f} kB with all that it names; among {count:,} messages",
    )


def _named_by(page: bytes) -> set[str]:
    """What a browser fetches with it, but for the editor's script, which only those who write wait for."""
    named = re.findall(r'(?:href|src)="(/admin/assets/[^"]+)"', page.decode())
    return {url for url in named if not url.endswith("/editor.js")}


def _index(services: Services) -> None:
    """As the worker does, in larger steps; only the newest, because words take longer than all else to fill in.

    What a search costs depends on the rows of its words, which each of these messages has.
    """
    now = services.clock()
    services.database.write(_begin_at_the_newest)
    while services.database.write(lambda tx: search_index.index_step(tx, before=now, limit=_STEP)):
        pass


def _begin_at_the_newest(tx: Transaction) -> None:
    tx.execute(
        "INSERT INTO search_progress (id, up_to_at, up_to_id)"
        " SELECT 1, created_at, id FROM email_messages ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :indexed"
        " ON CONFLICT (id) DO NOTHING",
        {"indexed": _INDEXED},
    )


@contextmanager
def _served(services: Services) -> Iterator[Fetch]:
    """The application on a port of its own, asked on one connection as the admin."""
    listener = server.bind("127.0.0.1", 0)
    ready = threading.Event()
    app = create_app(services)
    serving = server.server_of(app, on_ready=ready.set, on_end=app.state.streams.close)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]})
    thread.start()
    ready.wait()
    line = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1])
    token = services.settings.email_admin_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}

    def fetch(url: str) -> bytes:
        line.request("GET", url, headers=headers)
        answer = line.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{url} answered {answer.status}")
        return content

    try:
        yield fetch
    finally:
        line.close()
        serving.should_exit = True
        thread.join()
        listener.close()
