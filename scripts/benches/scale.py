"""The bench `scale`: the same queries to an archive of 1,000 messages and to one of 1,000,000.

Each database is SQLite, filled with a year of mail. The queries take turns, and the pages that they read are in the
machine's memory, as those of recent mail are in production.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version

from benches.invoice import KEY
from benches.message_archive import Archive, fill
from benches.queued_invoices import accept_invoices
from benches.report import Options, Report, Row
from benches.services import NO_RELAY_PORT, temporary_services
from benches.timing import Contest, timed
from service.bootstrap import Services
from service.messages.search import MessageFilter
from service.models import Caller, Scope
from service.store import leases

FEW, MANY = 1_000, 1_000_000
#: Room for the two more levels of a larger B-tree, some microseconds each.
TARGET_RATIO = 2.0
#: Their answers grow with the archive up to a limit (counts end at 10,000), so that they have no target.
LISTS = ("the newest 50", "the second page of the list", "the newest 50 bounces of a month", "the mails of a template")
_ADMIN = Caller("admin", "admin", frozenset(Scope))


def run(options: Options, *, few: int = FEW) -> Report:
    """Run every query on both archives; the ratio is the large one's time to the small one's."""
    many = max(int(MANY * options.effort), few)
    with temporary_services(NO_RELAY_PORT) as small, temporary_services(NO_RELAY_PORT) as large:
        queries_of_few = _queries(small, _filled(small, few))
        queries_of_many = _queries(large, _filled(large, many))
        contest = Contest(rounds=3, round_s=0.3 * min(options.effort, 1.0))
        rows = []
        for name, of_many in queries_of_many.items():
            best_s = contest.best({"few": timed(queries_of_few[name]), "many": timed(of_many)})
            rows.append(_row(name, best_s["few"], best_s["many"], few=few, many=many))
    return Report("scale", tuple(rows), {"service": version("rgz-email")})


def _filled(services: Services, count: int) -> Archive:
    began_s = time.perf_counter()
    archive = fill(services, count)
    print(f"{count:,} messages stored in {time.perf_counter() - began_s:.0f} s.", file=sys.stderr)
    return archive


def _queries(services: Services, archive: Archive) -> dict[str, Callable[[], object]]:
    """The queries by name; each call is about another message or recipient."""
    ids, recipients = itertools.cycle(archive.ids), itertools.cycle(archive.recipients)
    search = services.messages.message_search
    month = (services.clock() - timedelta(days=30)).isoformat()
    numbers = itertools.count()
    return {
        "the HTML of a message, checked by digest": lambda: search.body(next(ids)),
        "a message as it went over the wire": lambda: search.raw(next(ids)),
        "a message with its timeline": lambda: search.detail(next(ids), _ADMIN),
        "the newest 50": lambda: search.search(),
        "the mails to a recipient, counted": lambda: search.search(MessageFilter(to=next(recipients))),
        "the newest 50 bounces of a month": lambda: search.search(MessageFilter(status="bounced", since=month)),
        "the mails of a template": lambda: search.search(MessageFilter(template_key=KEY)),
        "the second page of the list": _paging(services),
        "accept one and claim it": lambda: _accept_and_claim(services, next(numbers)),
    }


def _paging(services: Services) -> Callable[[], object]:
    cursors: Iterator[str | None] = itertools.cycle([services.messages.message_search.search().next])
    return lambda: services.messages.message_search.search(cursor=next(cursors))


def _accept_and_claim(services: Services, number: int) -> None:
    """Uses the indexes of due messages, beside all those that were sent."""
    accept_invoices(services, 1)
    now = services.clock()
    services.database.write(lambda tx: leases.claim(tx, owner=f"bench{number}", now=now, lease_s=30, limit=50))


def _row(name: str, few_s: float, many_s: float, *, few: int, many: int) -> Row:
    ratio = many_s / few_s
    target, is_met = (f"<= {TARGET_RATIO:.0f} x", ratio <= TARGET_RATIO) if name not in LISTS else ("", None)
    return Row(
        name,
        many_s * 1e6,
        "us",
        ratio,
        f"{few:,} messages",
        target,
        is_met,
        f"among {many:,} messages; {few_s * 1e6:.0f} us among {few:,}",
    )
