"""What admins do is recorded in the transaction that does it, and is found again."""

from datetime import timedelta
from typing import Any

import pytest

from service.auth.admin_actions import SHOWN_AGAIN, ActionFilter
from service.bootstrap import Services
from service.errors import InvalidRequest
from service.models import ActionKind, AdminAction, Caller, Scope
from service.models.requests import SuppressionRequest
from tests.support.samples import ADMIN
from tests.support.scripted import Clock

REVIEWER = Caller("0123456789abcdef", "reviewer", frozenset({Scope.ADMIN}), via="page")


def newest(services: Services) -> AdminAction:
    return services.admin_actions.search().items[0]


def test_keys_made_and_revoked_are_recorded(services: Services, clock: Clock) -> None:
    made, text = services.api_keys.create("billing", [Scope.SEND, Scope.READ], clock())
    row = newest(services)
    assert (row.kind, row.subject, row.detail, row.via) == (ActionKind.KEY_CREATED, made.id, "read,send", "cli")
    assert text not in str(row)
    assert services.api_keys.revoke(made.id, clock())
    assert newest(services).kind is ActionKind.KEY_REVOKED
    assert not services.api_keys.revoke(made.id, clock())
    assert services.admin_actions.search().total == 2


def test_suppression_lifted_is_recorded_once_by_pseudonym(services: Services) -> None:
    suppressions = services.recipients.suppressions
    item, _ = suppressions.add(SuppressionRequest(address="ann@example.com", reason="her words"), ADMIN, source="api")
    suppressions.lift(item.id, REVIEWER, reason="ann@example.com asked")
    suppressions.lift(item.id, ADMIN)
    row = newest(services)
    assert services.admin_actions.search().total == 1
    assert (row.kind, row.actor_name, row.via) == (ActionKind.SUPPRESSION_LIFTED, "reviewer", "page")
    assert (row.subject, row.recipient_hash) == (item.id, item.recipient_hash)
    assert "ann" not in str(row)


def test_person_erased_is_recorded_and_stays_found_by_the_address(services: Services) -> None:
    services.admin_actions.person_shown("ann@example.com", REVIEWER)
    services.recipients.data_requests.erase("Ann@example.com", ADMIN)
    services.recipients.data_requests.preview_erasure("ann@example.com")
    page = services.admin_actions.search(ActionFilter(person="ann@EXAMPLE.com"))
    assert [row.kind for row in page.items] == [ActionKind.PERSON_ERASED, ActionKind.PERSON_SHOWN]
    rows = services.database.read("SELECT * FROM admin_actions")
    assert "ann@" not in str(rows).lower()


def test_person_shown_again_soon_is_one_row(services: Services, clock: Clock) -> None:
    for caller in (REVIEWER, REVIEWER, ADMIN):
        services.admin_actions.person_shown("ann@example.com", caller)
    assert services.admin_actions.search().total == 2
    services.admin_actions.person_shown("no address", REVIEWER)
    assert services.admin_actions.search().total == 2
    clock.now += SHOWN_AGAIN
    services.admin_actions.person_shown("ann@example.com", REVIEWER)
    assert services.admin_actions.search().total == 3


def test_actions_are_filtered_and_paged(services: Services, clock: Clock) -> None:
    for number in range(7):
        caller = REVIEWER if number % 2 else ADMIN
        services.admin_actions.person_exported(f"person{number}@example.com", caller)
        clock.forward(minutes=1)
    services.api_keys.create("billing", [Scope.SEND], clock())
    search = services.admin_actions.search
    assert search(ActionFilter(kind="key_created")).total == 1
    assert search(ActionFilter(actor="reviewer")).total == search(ActionFilter(actor=REVIEWER.id)).total == 3
    since = (clock.now - timedelta(minutes=2)).isoformat()
    assert search(ActionFilter(since=since)).total == 3
    assert search(ActionFilter(until=since)).total == 5
    seen, cursor = [], None
    while True:
        page = search(limit=3, cursor=cursor)
        seen += [row.id for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 8
    assert seen == [row.id for row in services.admin_actions.every()]


@pytest.mark.parametrize(
    ("wanted", "more", "parameter"),
    [
        ({"kind": "nonsense"}, {}, "kind"),
        ({"person": "nobody"}, {}, "person"),
        ({"since": "yesterday"}, {}, "since"),
        ({"since": "2026-01-01T00:00:00"}, {}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, {}, "since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, {}, "until"),
        ({}, {"limit": 0}, "limit"),
        ({}, {"limit": 1_001}, "limit"),
        ({}, {"cursor": "nonsense"}, "cursor"),
    ],
)
def test_list_of_actions_names_a_wrong_parameter(
    services: Services, wanted: dict[str, str], more: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        services.admin_actions.search(ActionFilter(**wanted), **more)
    assert [problem.code for problem in caught.value.problems] == [parameter]


def test_actions_are_deleted_with_the_audit_retention(services: Services, clock: Clock) -> None:
    services.admin_actions.person_exported("ann@example.com", ADMIN)
    clock.now += timedelta(days=services.settings.email_audit_retention_days - 1)
    services.admin_actions.person_exported("ben@example.com", ADMIN)
    clock.now += timedelta(days=1, seconds=1)
    services.recipients.retention_purge.purge()
    [row] = services.admin_actions.search().items
    assert row.kind is ActionKind.PERSON_EXPORTED
    assert row.created_at > clock.now - timedelta(days=2)
