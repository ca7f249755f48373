"""The key of pseudonyms: the same for ever, whichever versions of the secret key a process knows."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, accept_new_secret, build
from service.config.secret_key import secret_key
from service.config.settings import Settings
from service.errors import ConfigurationError, InvalidRequest, NotFound
from service.mail import return_path
from service.messages.search import MessageFilter
from service.models import ActionKind, AdminAction, Message, Status
from service.models.requests import SendRequest, SuppressionRequest
from service.recipients import pseudonym_key, suppression_csv
from service.recipients.pseudonym_key import NewPseudonyms
from service.store import secret_versions
from service.store.database import Database, open_database
from service.store.migrations import migrate
from tests.support.canaries import Canaries, transport_of, write_templates
from tests.support.running import settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import NOW, Clock

ANN, BEN = "ann@example.test", "ben@example.test"
OLD, NEW, THIRD = "the first secret of these tests", "the second secret, a new one", "a third one, never used before"

#: Made by v0.1 with its undivided key, for ANN and for the message with this id.
V01_SECRET = "a v0.1 secret, undivided"
V01_MESSAGE_ID = "0199c2ab-7c00-7000-8000-0000000000aa"
V01_PSEUDONYM = "c8c71cf45378581e9799cbbd713ffc92d55edb6f34cba57d80690835f730723c"
V01_RETURN_PATH = "bounces+agm4fk34abyabaaaaaaaaaaaviinml7nupyd6llpwn@mail.rgz.bj"
V01_TOKEN = "dTHIxxz0U3hYHpeZy71xP_yS1V7bbzTLpX2AaQg19zByPAGZwqt8AHAAgAAAAAAAAKr5PCXmtr93bN1ZqEFSb1X-"

Open = Callable[..., AbstractContextManager[Services]]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty database."""
    changes: dict[str, Any] = {"email_templates_dir": write_templates(tmp_path / "templates")}
    if request.param == "postgresql":
        changes["database_url"] = request.getfixturevalue("migrated_postgresql_url")
    else:
        changes["database_url"] = f"sqlite:///{tmp_path / 'store.db'}"
    return settings_for(tmp_path, **changes)


@pytest.fixture
def opened(place: Settings, clock: Clock, canaries: Canaries) -> Open:
    """The service on that database, with a secret key and its older versions."""

    @contextmanager
    def run(secret: str, *previous: str) -> Iterator[Services]:
        settings = with_secret(place, secret, *previous)
        transport = transport_of(canaries)
        with closing(build(settings, transport=transport, clock=clock, boottime=clock.boottime)) as services:
            yield services

    return run


@pytest.fixture
def store(place: Settings) -> Iterator[Database]:
    """The database, migrated, before any service has started."""
    with closing(open_database(str(place.database_url))) as database:
        migrate(database)
        yield database


def with_secret(place: Settings, secret: str, *previous: str) -> Settings:
    return place.with_changes(
        email_secret_key=secret, email_secret_key_previous="\n".join([*previous, ""]) if previous else None
    )


def send(services: Services, to: str = ANN, key: str = "plain", **more: Any) -> str:
    request = SendRequest(to=to, template_key=key, variables={"name": "Ann", "sender": "Ben"}, **more)
    return services.sending.acceptor.send(request, ADMIN).messages[0].id


def message(services: Services, message_id: str) -> Message:
    return services.messages.message_search.detail(message_id, ADMIN).message


def drain(services: Services) -> None:
    services.delivery.deliverer.drain(threading.Event())


def suppress(services: Services, address: str) -> None:
    services.recipients.suppressions.add(SuppressionRequest(address=address), ADMIN, source="api")


def plant_v01_suppression(store: Database, address: str | None) -> None:
    store.write(
        lambda tx: tx.execute(
            "INSERT INTO suppressions (id, address, recipient_hash, scope, reason, source, created_at)"
            " VALUES ('s', :address, :hash, 'all', 'manual', 'api', :now)",
            {"address": address, "hash": V01_PSEUDONYM, "now": NOW},
        )
    )


def test_anonymised_suppression_holds_after_the_secret_key_was_rotated_and_its_old_version_dropped(
    opened: Open, clock: Clock
) -> None:
    with opened(OLD) as services:
        waiting = send(services, BEN, send_at=clock().replace(year=clock().year + 1).isoformat())
        suppress(services, ANN)
        clock.forward(days=91)
        services.recipients.retention_purge.purge()
    for versions in ([NEW, OLD], [NEW], [THIRD, NEW], [THIRD]):
        with opened(*versions) as services:
            assert message(services, send(services, ANN.upper())).status is Status.SUPPRESSED  # on accept
    with opened(THIRD) as services:
        suppress(services, BEN)
        clock.forward(days=274)
        services.recipients.retention_purge.purge()  # only the hash of BEN's suppression is left
        drain(services)
        assert message(services, waiting).status is Status.SUPPRESSED  # on claim; accepted under the first version


def test_person_is_found_exported_and_erased_after_the_secret_key_was_rotated(opened: Open, clock: Clock) -> None:
    with opened(OLD) as services:
        first = send(services)
        drain(services)
        clock.forward(days=91)
        services.recipients.retention_purge.purge()
        second = send(services, key="news")
        drain(services)
    with opened(NEW, OLD) as services:
        assert message(services, send(services, key="news")).status is Status.RATE_LIMITED
        search = services.messages.message_search.search(MessageFilter(to=ANN))
        assert {first, second} < {item.id for item in search.items}
        exported = services.recipients.data_requests.export(ANN)
        assert [item.message.id for item in exported.messages][:2] == [first, second]
        erased = services.recipients.data_requests.erase(ANN, ADMIN)
        assert (erased.messages_anonymised, erased.is_suppressed) == (2, True)
    with opened(NEW) as services:
        assert message(services, send(services)).status is Status.SUPPRESSED


def test_links_and_return_paths_of_an_older_version_are_accepted_until_it_is_dropped(opened: Open) -> None:
    with opened(OLD) as services:
        url = services.database.read(
            "SELECT unsubscribe_url FROM email_messages WHERE id = :id",
            {
                "id": send(services, key="news"),
            },
        )[0]["unsubscribe_url"]
        old_token = url.rpartition("/")[2]
    with opened(NEW, OLD) as services:
        assert services.recipients.unsubscriber.state(old_token) == "subscribed"
        services.recipients.unsubscriber.unsubscribe(old_token)
        assert services.recipients.suppressions.search(address=ANN).total == 1
        assert message(services, send(services, key="news")).status is Status.SUPPRESSED
    with opened(NEW) as services, pytest.raises(NotFound):
        services.recipients.unsubscriber.state(old_token)


def test_links_return_paths_and_suppressions_of_v01_hold_for_ever(opened: Open, store: Database) -> None:
    """The values are those that v0.1 wrote; the address of the suppression is gone."""
    plant_v01_suppression(store, None)
    for versions in ([V01_SECRET], [NEW, V01_SECRET]):
        with opened(*versions) as services:
            assert services.recipients.unsubscriber.state(V01_TOKEN) == "unsubscribed"
            services.recipients.unsubscriber.unsubscribe(V01_TOKEN)
            keys = services.sending.message_factory.keys
            codes = return_path.codes_in([V01_RETURN_PATH])
            assert return_path.verified(codes, keys=keys.return_path.accepted) == V01_MESSAGE_ID
            assert message(services, send(services)).status is Status.SUPPRESSED
            # New ones are signed by a key of their own.
            assert return_path.signed("bounces@mail.rgz.bj", V01_MESSAGE_ID, key=keys.return_path.newest) != (
                V01_RETURN_PATH
            )
    with opened(NEW) as services:
        assert message(services, send(services)).status is Status.SUPPRESSED


def test_database_of_v01_goes_on_with_the_version_that_made_its_pseudonyms(opened: Open, store: Database) -> None:
    plant_v01_suppression(store, ANN)
    with pytest.raises(ConfigurationError, match="belongs to another secret key"), opened(NEW):
        pass
    with opened(NEW, OLD, V01_SECRET) as services:
        assert message(services, send(services)).status is Status.SUPPRESSED


def test_service_is_refused_with_another_secret_key_than_the_databases(opened: Open) -> None:
    with opened(OLD) as services:
        suppress(services, ANN)
        known = secret_versions.wrapped_keys(services.database)
    for versions in ([NEW], [NEW, THIRD], [OLD + " "]):
        with pytest.raises(ConfigurationError) as refused, opened(*versions):
            pass
        [problem] = refused.value.problems
        assert problem.startswith("EMAIL_SECRET_KEY: this database belongs to another secret key")
        assert "EMAIL_SECRET_KEY_PREVIOUS" in problem and "accept-new-secret" in problem
        assert next(iter(known))[:8] in problem
    with opened(OLD) as services:
        assert secret_versions.wrapped_keys(services.database) == known  # a refused start has changed nothing


def test_database_tells_neither_secret_nor_pseudonym_key(opened: Open) -> None:
    with opened(OLD) as services:
        rows = services.database.read("SELECT * FROM secret_versions")
        key = services.messages.message_search.pseudonym_key
    assert OLD not in str(rows) and key not in bytes(rows[0]["pseudonym_key"])
    assert key != OLD.encode()  # a new database has a random key, which nobody derives from the secret


def test_database_keeps_the_given_versions_alone(opened: Open) -> None:
    def fingerprints(services: Services) -> set[str]:
        return set(secret_versions.wrapped_keys(services.database))

    named = {text: secret_key([text]).newest.fingerprint for text in (OLD, NEW)}
    actions: Sequence[AdminAction] = ()
    for versions in ([OLD], [NEW, OLD], [NEW]):
        with opened(*versions) as services:
            assert fingerprints(services) == {named[text] for text in versions}
            actions = services.admin_actions.search().items
    assert [(action.kind, action.actor_id, action.detail) for action in actions] == [
        (ActionKind.SECRET_KEY_CHANGED, "command-line", f"dropped={named[OLD][:8]}"),
        (ActionKind.SECRET_KEY_CHANGED, "command-line", f"added={named[NEW][:8]}"),
    ]


def test_processes_that_start_at_once_agree(store: Database) -> None:
    barrier = threading.Barrier(4)

    def start(text: str) -> bytes | None:
        barrier.wait()
        try:
            return pseudonym_key.agree(store, secret_key([text]), now=NOW)
        except ConfigurationError:
            return None

    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(start, [OLD, NEW, OLD, NEW]))
    # Those with the secret that came first have one key; those with the other are refused.
    assert len(set(keys) - {None}) == 1
    assert keys.count(None) == 2


def test_new_secret_is_accepted_only_explicitly_and_the_known_addresses_go_on(
    opened: Open, place: Settings, clock: Clock
) -> None:
    with opened(OLD) as services:
        suppress(services, "gone@example.test")
        clock.forward(days=91)
        services.recipients.retention_purge.purge()
        suppress(services, ANN)
        queued = send(services, BEN, send_at=clock().isoformat())
        ben = send(services, BEN, key="news")
    done = accept_new_secret(with_secret(place, NEW))
    assert done == NewPseudonyms(messages=2, suppressions=1, suppressions_lost=1)
    with opened(NEW) as services:
        assert message(services, send(services)).status is Status.SUPPRESSED
        assert message(services, send(services, "gone@example.test")).status is Status.QUEUED
        assert message(services, send(services, BEN, key="news")).status is Status.RATE_LIMITED
        found = services.messages.message_search.search(MessageFilter(to=BEN))
        assert {queued, ben} < {item.id for item in found.items}
        suppress(services, BEN)
        drain(services)
        assert message(services, queued).status is Status.SUPPRESSED
        [action] = services.admin_actions.search().items
        assert (action.kind, (action.detail or "").partition("accepted ")[2]) == (
            ActionKind.SECRET_KEY_CHANGED,
            "suppressions_lost=1",
        )
    # A repetition changes nothing, so an interrupted one can be finished.
    assert accept_new_secret(with_secret(place, NEW)) == NewPseudonyms(0, 0, 1)
    with pytest.raises(ConfigurationError), opened(OLD):
        pass


def test_new_secret_unites_suppressions_of_one_address_under_two_keys(
    opened: Open, place: Settings, store: Database
) -> None:
    """In v0.1 the key could be changed unnoticed: an address may be suppressed twice."""
    plant_v01_suppression(store, ANN)
    with opened(V01_SECRET) as services:
        services.database.write(
            lambda tx: tx.execute("UPDATE suppressions SET recipient_hash = :other", {"other": "0" * 64})
        )
        suppress(services, ANN)
    assert accept_new_secret(with_secret(place, NEW)).suppressions == 2
    with opened(NEW) as services:
        found = services.recipients.suppressions.search(address=ANN, lifted=True).items
        assert sorted(item.lifted_by or "" for item in found) == ["", "accept-new-secret"]


def test_list_of_hashes_is_imported_where_it_comes_from_and_refused_elsewhere(
    opened: Open, place: Settings, tmp_path: Path, clock: Clock
) -> None:
    """Another database has another key, even with the same secret: the hashes would match nobody."""
    with opened(OLD) as services:
        suppress(services, "gone@example.test")
        clock.forward(days=91)
        services.recipients.retention_purge.purge()
        suppress(services, ANN)
        listed = [
            asdict(item) | {"since": item.since.isoformat()} for item in services.recipients.suppressions.all_active()
        ]
        lines = suppression_csv.read("".join(suppression_csv.write(listed)))
    with opened(NEW, OLD) as services:
        assert services.recipients.suppressions.import_rows(lines, ADMIN).known == 2
    elsewhere = with_secret(place, OLD).with_changes(database_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    with closing(build(elsewhere, mailbox_port=None, clock=clock, boottime=clock.boottime)) as services:
        with pytest.raises(InvalidRequest) as refused:
            services.recipients.suppressions.import_rows(lines, ADMIN)
        assert "1 rows have no address" in refused.value.problems[0].message
        in_clear = [line for line in lines if line.address is not None]
        assert services.recipients.suppressions.import_rows(in_clear, ADMIN).added == 1
        assert services.recipients.suppressions.search(address=ANN).total == 1
