"""The bench `pages`: duration and size of each page over HTTP, among a million messages on SQLite.

A duration is from the request to the last byte of the page, the median of several, each for another message or
recipient, with warm caches as for recent mail. A size is the page and the files that it names, uncompressed.
"""

import http.client
import itertools
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from urllib.parse import quote

from benches.invoice import KEY
from benches.message_archive import Archive, fill
from benches.report import Options, Report, Row, Unmeasured
from benches.services import ADMIN_TOKEN, NO_RELAY_PORT, temporary_services
from http_server import served
from service.bootstrap import Services
from service.store import search_index
from service.store.database import Transaction

MESSAGES = 1_000_000
TARGET_MS = 50
TARGET_KB = 200
_ROUNDS = 30
_INDEX_STEP = 2_000
#: Messages in the search index.
_INDEXED = 100_000

Fetch = Callable[[str], bytes]


def run(options: Options) -> Report:
    """Measure each page; takes about ten minutes, most of them for filling the database."""
    count = max(int(MESSAGES * options.effort), 1_000)
    with temporary_services(NO_RELAY_PORT) as services:
        began_s = time.perf_counter()
        archive = fill(services, count)
        _index(services)
        print(f"{count:,} messages stored in {time.perf_counter() - began_s:.0f} s.", file=sys.stderr)
        with _fetching(services) as fetch:
            rounds = max(int(_ROUNDS * options.effort), 3)
            rows = [_row(name, urls, fetch, rounds, count) for name, urls in _pages(archive).items()]
    return Report("pages", tuple(rows), {"service": version("rgz-email")})


def _pages(archive: Archive) -> Mapping[str, Iterator[str]]:
    """The URLs of each page, without end."""
    ids, recipients = itertools.cycle(archive.ids), itertools.cycle(archive.recipients)
    messages = "/admin/messages"
    return {
        "overview": itertools.repeat("/admin"),
        "messages, the newest": itertools.repeat(messages),
        "messages to a recipient": (f"{messages}?to={quote(address)}" for address in recipients),
        "bounced messages": itertools.repeat(f"{messages}?status=bounced"),
        "queued messages": itertools.repeat(f"{messages}?status=queued"),
        "messages of a template": itertools.repeat(f"{messages}?template_key={KEY}"),
        "messages by two words": (f"{messages}?text=example+{address.partition('@')[0]}" for address in recipients),
        "messages by a word that 100,000 have": itertools.repeat(f"{messages}?text=example"),
        "a message": (f"{messages}/{id}" for id in ids),
        "a message's HTML": (f"{messages}/{id}/frame" for id in ids),
        "a recipient": (f"/admin/recipients/{quote(address)}" for address in recipients),
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
    size_kb = (len(page) + sum(len(fetch(url)) for url in _assets(page))) / 1_000
    durations_s = []
    for url in itertools.islice(urls, rounds):
        began_s = time.perf_counter()
        fetch(url)
        durations_s.append(time.perf_counter() - began_s)
    median_ms = statistics.median(durations_s) * 1_000
    return Row(
        name,
        median_ms,
        "ms",
        target=f"< {TARGET_MS} ms, < {TARGET_KB} kB",
        is_met=median_ms < TARGET_MS and size_kb < TARGET_KB,
        note=f"{size_kb:.0f} kB with its files; among {count:,} messages",
    )


def _assets(page: bytes) -> set[str]:
    """URLs of the files that a browser fetches with a page, without the editor's script, which delays only authors."""
    urls = re.findall(r'(?:href|src)="(/admin/assets/[^"]+)"', page.decode())
    return {url for url in urls if not url.endswith("/editor.js")}


def _index(services: Services) -> None:
    """Index the newest messages for search, in larger steps than the worker's.

    Indexing all of them would take longer than everything else; the cost of a search depends on the number of rows for
    its words, and each of these messages has the same words.
    """
    now = services.clock()
    services.database.write(_skip_older)
    while services.database.write(lambda tx: search_index.index_step(tx, before=now, limit=_INDEX_STEP)):
        pass


def _skip_older(tx: Transaction) -> None:
    """Set the indexer's position to before the newest messages."""
    tx.execute(
        "INSERT INTO search_progress (id, up_to_at, up_to_id)"
        " SELECT 1, created_at, id FROM email_messages ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :indexed"
        " ON CONFLICT (id) DO NOTHING",
        {"indexed": _INDEXED},
    )


@contextmanager
def _fetching(services: Services) -> Iterator[Fetch]:
    """Serve the application; yields a function that gets a URL as the admin, all on one connection."""
    with served(services) as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:

        def fetch(url: str) -> bytes:
            connection.request("GET", url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
            response = connection.getresponse()
            content = response.read()
            if response.status != http.client.OK:
                raise Unmeasured(f"{url} answered {response.status}")
            return content

        yield fetch
