"""Feedback: notifications seen once, and positions in bounce mailboxes, on both databases."""

from functools import partial

from service.store import feedback
from service.store.database import Database
from tests.support.rows import NOW

INBOX = "bounces@mail.example:993/INBOX"


def move(database: Database, uid_validity: int, uid: int, *, inbox: str = INBOX) -> None:
    database.write(partial(feedback.set_last_uid, inbox=inbox, uid_validity=uid_validity, uid=uid, now=NOW))


def test_inbox_position_only_moves_forward(database: Database) -> None:
    assert feedback.last_uid(database, INBOX, 7) == 0
    for uid, expected in ((3, 3), (9, 9), (5, 9), (9, 9), (4_294_967_295, 4_294_967_295)):
        move(database, 7, uid)
        assert feedback.last_uid(database, INBOX, 7) == expected


def test_inbox_position_begins_anew_where_the_numbers_mean_other_mails(database: Database) -> None:
    move(database, 7, 100)
    assert feedback.last_uid(database, INBOX, 8) == 0
    move(database, 8, 2)
    assert feedback.last_uid(database, INBOX, 8) == 2
    assert feedback.last_uid(database, INBOX, 7) == 0


def test_inbox_position_belongs_to_one_mailbox(database: Database) -> None:
    move(database, 7, 100)
    move(database, 7, 5, inbox="other")
    assert [feedback.last_uid(database, name, 7) for name in (INBOX, "other", "third")] == [100, 5, 0]


def test_notification_is_new_once_for_each_source(database: Database) -> None:
    def first_time(source: str) -> bool:
        return bool(database.write(lambda tx: feedback.mark_seen(tx, [("n1", source)], now=NOW)))

    assert [first_time("sns"), first_time("sns"), first_time("inbox")] == [True, False, True]
