"""Suppressions over HTTP: listed, added, lifted, and the answer to a send to a suppressed address."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.running import Running
from tests.support.samples import WELCOME

LIST = "/api/v1/email/suppressions"


def suppress(service: Running, address: str, **more: Any) -> dict[str, Any]:
    answer = service.admin.post(LIST, json={"address": address, **more})
    assert answer.status_code == 201, answer.text
    item: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{LIST}/{item['id']}"
    return item


def listed(service: Running, **params: Any) -> list[dict[str, Any]]:
    page = service.admin.get(LIST, params=params).raise_for_status().json()
    assert page["total"] == len(page["items"])
    items: list[dict[str, Any]] = page["items"]
    return items


def test_send_to_a_suppressed_address_is_accepted_recorded_and_not_sent(service: Running) -> None:
    suppress(service, "Never@Example.com", reason="asked by telephone")
    answer = service.send("onboarding_welcome", "never@example.COM, other@example.com", WELCOME)
    assert answer.status_code == 201
    first, second = answer.json()["messages"]
    assert (first["status"], second["status"]) == ("suppressed", "queued")
    service.until(second["id"], "sent")
    message = service.message(first["id"])
    assert [event["type"] for event in message["events"]] == ["accepted", "suppressed"]
    assert message["error_message"].startswith("Suppressed since ")
    assert service.mails("never@example.COM", wait_s=0) == []


def test_suppression_stops_a_waiting_mail_before_it_leaves(service: Running) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    waiting = service.send("onboarding_welcome", "waits@example.com", WELCOME, send_at=soon).json()["messages"][0]
    assert waiting["status"] == "queued"
    suppress(service, "waits@example.com")
    message = service.until(waiting["id"], "suppressed")
    assert [event["type"] for event in message["events"]] == ["accepted", "suppressed"]


def test_suppression_lifted_allows_mail_again_and_stays_on_record(service: Running) -> None:
    item = suppress(service, "back@example.com", reason="bounce")
    assert (item["reason"], item["scope"], item["source"], item["created_by"]) == ("bounce", "all", "api", "admin")
    assert item["lifted_at"] is None
    lifted = service.admin.delete(f"{LIST}/{item['id']}", params={"reason": "the mailbox works again"})
    assert lifted.status_code == 200
    ended = lifted.json()
    assert (ended["lifted_by"], ended["lift_reason"]) == ("admin", "the mailbox works again")
    assert service.admin.delete(f"{LIST}/{item['id']}").json() == ended  # once more is the same as once
    assert listed(service, address="back@example.com") == []
    assert listed(service, address="back@example.com", lifted="true") == [ended]
    assert service.admin.get(f"{LIST}/{item['id']}").json() == ended
    message = service.send("onboarding_welcome", "back@example.com", WELCOME).json()["messages"][0]
    assert message["status"] == "queued"
    again = suppress(service, "back@example.com")
    assert [one["id"] for one in listed(service, address="back@example.com", lifted="true")] == [
        again["id"],
        item["id"],
    ]


def test_suppression_that_came_first_stands(service: Running) -> None:
    item = suppress(service, "twice+tag@example.com", reason="first")
    answer = service.admin.post(LIST, json={"address": "TWICE+tag@EXAMPLE.com", "reason": "second"})
    assert answer.status_code == 200
    assert answer.json() == item
    narrow = suppress(service, "twice+tag@example.com", scope="marketing")
    # A plus sign that the caller did not encode arrives as a space.
    found = service.admin.get(f"{LIST}?address=twice+tag@example.com").json()["items"]
    assert [one["id"] for one in found] == [narrow["id"], item["id"]]
    assert listed(service, address="twice+tag@example.com", scope="marketing") == [narrow]


def test_suppression_list_is_paged_without_gaps(service: Running) -> None:
    made = [suppress(service, f"page{n}@example.com", scope="marketing")["id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        params: dict[str, Any] = {"scope": "marketing", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = service.admin.get(LIST, params=params).raise_for_status().json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert [one for one in seen if one in made] == made[::-1]
    assert len(seen) == len(set(seen)) == page["total"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "cursor=odd", "scope=some", "address=nobody", "lifted=1", "to=a@b.example"],
)
def test_suppression_list_names_a_wrong_parameter(service: Running, query: str) -> None:
    answer = service.admin.get(f"{LIST}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/address"),
        ({"address": "a@@b"}, "/address"),
        ({"address": "a@example.com", "scope": "some"}, "/scope"),
        ({"address": "a@example.com", "reason": "two\nlines"}, "/reason"),
        ({"address": "a@example.com", "until": "ever"}, "/until"),
    ],
    ids=str,
)
def test_suppression_that_is_invalid_is_refused_with_its_place(
    service: Running, body: dict[str, Any], pointer: str
) -> None:
    answer = service.admin.post(LIST, json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_suppression_that_is_unknown_is_not_found(service: Running) -> None:
    assert service.admin.get(f"{LIST}/nothing").status_code == 404
    assert service.admin.delete(f"{LIST}/nothing").status_code == 404
    assert service.client.get(LIST).status_code == 401
