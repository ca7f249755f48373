"""Sessions are rows: they end by time, without use, by hand, with their key, and with the secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.auth.sessions import IDLE_LASTS, SEEN_EVERY, SESSION_LASTS
from service.bootstrap import Services, build
from service.errors import NotAllowed, NotAuthenticated, NotFound
from service.models import ActionKind, Scope
from tests.support.running import ADMIN_TOKEN, settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import Clock, ScriptedTransport


@contextmanager
def built(folder: Path, clock: Clock, **changes: str) -> Iterator[Services]:
    services = build(settings_for(folder, **changes), transport=ScriptedTransport(), clock=clock)
    yield services
    services.close()


@pytest.fixture
def again(services: Services) -> str:
    """The cookie of an admin's session."""
    return services.sessions.create_session(ADMIN_TOKEN, client="203.0.113.9", browser="Firefox\r\n\0" + "x" * 500)


def kinds(services: Services) -> list[ActionKind]:
    return [action.kind for action in reversed(services.admin_actions.search().items)]


def test_session_holds_while_it_is_used_until_its_absolute_end(services: Services, clock: Clock, again: str) -> None:
    end = clock.now + SESSION_LASTS
    while clock.now + IDLE_LASTS / 2 < end:
        clock.now += IDLE_LASTS / 2
        found = services.sessions.session(again)
        assert found is not None
        assert not services.sessions.is_seen_lately(found)
        services.sessions.touch(found)
    clock.now = end
    assert services.sessions.session(again) is None
    assert services.sessions.list_open() == []


def test_session_ends_without_use(services: Services, clock: Clock, again: str) -> None:
    clock.now += IDLE_LASTS - SEEN_EVERY
    assert services.sessions.session(again) is not None  # to look is not to use
    clock.now += SEEN_EVERY
    assert services.sessions.session(again) is None


def test_session_is_kept_without_the_cookies_value_and_the_address(services: Services, again: str) -> None:
    [row] = services.database.read("SELECT * FROM sessions")
    assert again not in str(row)
    assert "203.0.113.9" not in str(row)
    assert len(row["browser"]) == 200
    assert row["browser"].isprintable()


@pytest.mark.parametrize("cookie", ["", "x", "\0", "\udc80", "x" * 100_000])
def test_session_of_another_cookie_is_none(services: Services, again: str, cookie: str) -> None:
    assert services.sessions.session(cookie) is None
    assert services.sessions.session(again[:-1]) is None


def test_session_ends_by_sign_out_and_by_hand(services: Services, again: str) -> None:
    other = services.sessions.create_session(ADMIN_TOKEN, client="198.51.100.1")
    mine, theirs = services.sessions.session(again), services.sessions.session(other)
    assert mine is not None
    assert theirs is not None
    services.sessions.end(theirs.id, mine.caller)
    assert services.sessions.session(other) is None
    services.sessions.sign_out(mine)
    assert services.sessions.session(again) is None
    with pytest.raises(NotFound):
        services.sessions.end(theirs.id, mine.caller)
    ended = [ActionKind.SIGN_IN, ActionKind.SIGN_IN, ActionKind.SESSION_ENDED, ActionKind.SIGN_OUT]
    assert kinds(services) == ended


def test_sessions_all_end_at_once_but_those_that_are_to_stay(services: Services, clock: Clock, again: str) -> None:
    made, key = services.api_keys.create("boss", [Scope.ADMIN], clock())
    by_key = [services.sessions.create_session(key, client="") for _ in range(3)]
    first = services.sessions.session(by_key[0])
    assert first is not None
    assert services.sessions.end_all(first.caller, caller_id=made.id, but=first.id) == 2
    assert [services.sessions.session(one) is not None for one in (again, *by_key)] == [True, True, False, False]
    assert services.sessions.end_all(ADMIN) == 2
    assert services.sessions.end_all(ADMIN) == 0
    assert services.sessions.list_open() == []


def test_sessions_end_with_their_key(services: Services, clock: Clock, again: str) -> None:
    made, key = services.api_keys.create("boss", [Scope.ADMIN], clock())
    cookie = services.sessions.create_session(key, client="")
    services.api_keys.revoke(made.id, clock())
    assert services.sessions.session(cookie) is None
    assert [session.caller.id for session in services.sessions.list_open()] == ["admin"]
    assert services.admin_actions.search().items[0].detail == "sessions=1"


def test_session_ends_when_the_admin_token_or_the_secret_key_changes(tmp_path: Path, clock: Clock) -> None:
    with built(tmp_path, clock) as services:
        cookie = services.sessions.create_session(ADMIN_TOKEN, client="")
    with built(tmp_path, clock) as services:
        assert services.sessions.session(cookie) is not None
    with built(tmp_path, clock, email_admin_token="another-token-of-the-tests") as services:
        assert services.sessions.session(cookie) is None
        assert services.sessions.list_open() == []


def test_sessions_that_ended_are_swept_at_the_next_sign_in(services: Services, clock: Clock, again: str) -> None:
    clock.now += SESSION_LASTS
    services.sessions.create_session(ADMIN_TOKEN, client="")
    assert len(services.database.read("SELECT id FROM sessions")) == 1


def test_sign_in_that_is_refused_is_recorded_with_its_key(services: Services, clock: Clock) -> None:
    made, reader = services.api_keys.create("reader", [Scope.READ], clock())
    with pytest.raises(NotAllowed):
        services.sessions.create_session(reader, client="203.0.113.9")
    with pytest.raises(NotAuthenticated):
        services.sessions.create_session("wrong", client="203.0.113.9")
    refused = [one for one in services.admin_actions.search().items if one.kind is ActionKind.SIGN_IN_REFUSED]
    assert {one.actor_id for one in refused} == {made.id, None}
    assert len({one.client for one in refused}) == 1
    assert services.sessions.list_open() == []
