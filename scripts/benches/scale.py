"""Whether a large archive answers as a small one does: the same questions to 1,000 messages and to 1,000,000.

Each database is SQLite, filled with a year of mail, and asked in turns. All of it is warm: the pages that a question
touches are in the memory of the machine, as they are where people look at the mail of these days.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from importlib.metadata import version

from benches.delivery_rates import service
from benches.invoice import KEY
from benches.message_archive import fill
from benches.queued_invoices import accept_invoices
from benches.report import Options, Report, Row
from benches.timing import Contest, timed
from service.bootstrap import Services
from service.models import Caller, Scope
from service.store import leases

FEW, MANY = 1_000, 1_000_000
#: "As fast" allows for the levels that a larger tree has: two more, of some microseconds each.
TARGET_RATIO = 2.0
#: These answers are longer, or counted further (up to 10,000), where there is more; they are bounded, not the same.
LISTS = ("the newest 50", "the second page of the list", "the newest 50 bounces of a month", "the mails of a template")
_ADMIN = Caller("admin", "admin", frozenset(Scope))
_NO_SERVER_PORT = 1


def run(options: Options, *, few: int = FEW) -> Report:
    """Every question to both archives; the ratio is the large one's time to the small one's."""
    many = max(int(MANY * options.effort), few)
    with service(_NO_SERVER_PORT) as small, service(_NO_SERVER_PORT) as large:
        questions_of_few = _questions(small, _filled(small, few))
        questions_of_many = _questions(large, _filled(large, many))
        contest = Contest(rounds=3, round_s=0.3 * min(options.effort, 1.0))
        rows = []
        for name, of_many in questions_of_many.items():
            found = contest.best({"few": timed(questions_of_few[name]), "many": timed(of_many)})
            rows.append(_row(name, found["few"], found["many"], few=few, many=many))
    return Report("scale", tuple(rows), {"service": version("rgz-email")})


def _filled(services: Services, count: int) -> Sequence[Sequence[str]]:
    began_s = time.perf_counter()
    filled = fill(services, count)
    print(f"{count:,} messages are there after {time.perf_counter() - began_s:.0f} s.", file=sys.stderr)
    return filled.ids, filled.people


def _questions(services: Services, known: Sequence[Sequence[str]]) -> dict[str, Callable[[], object]]:
    """Each call asks for another message or person."""
    ids, people = (itertools.cycle(names) for names in known)
    auditor = services.messages.message_search
    month = (services.clock() - timedelta(days=30)).isoformat()
    numbers = itertools.count()
    return {
        "the HTML of a message, checked by digest": lambda: auditor.body(next(ids)),
        "a message as it went over the wire": lambda: auditor.raw(next(ids)),
        "a message with its timeline": lambda: auditor.detail(next(ids), _ADMIN),
        "the newest 50": lambda: auditor.search(),
        "the mails to a person, counted": lambda: auditor.search(to=next(people)),
        "the newest 50 bounces of a month": lambda: auditor.search(status="bounced", since=month),
        "the mails of a template": lambda: auditor.search(template_key=KEY),
        "the second page of the list": _paging(services),
        "accept one and claim it": lambda: _pass(services, next(numbers)),
    }


def _paging(services: Services) -> Callable[[], object]:
    cursors: Iterator[str | None] = itertools.cycle([services.messages.message_search.search().next])
    return lambda: services.messages.message_search.search(cursor=next(cursors))


def _pass(services: Services, number: int) -> None:
    """Through the indexes of what is due, beside all that has left."""
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
