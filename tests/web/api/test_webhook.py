"""POST /webhook over real HTTP, with a stand-in for SNS on loopback that serves its certificate over TLS."""

import base64
import json
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import ses_events, sns_peer
from tests.support.running import Running, running, settings_for
from tests.support.samples import WELCOME
from tests.support.sns_peer import HOST, PATH, TOPIC, SnsPeer, envelope, sign, signed

WEBHOOK = "/api/v1/email/webhook"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def peer_and_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SnsPeer, Running]]:
    directory = tmp_path_factory.mktemp("webhook")
    with sns_peer.sns_peer(directory) as (peer, settings), running(settings_for(directory, **settings)) as service:
        yield peer, service


@pytest.fixture
def peer(peer_and_service: tuple[SnsPeer, Running]) -> SnsPeer:
    return peer_and_service[0]


@pytest.fixture
def service(peer_and_service: tuple[SnsPeer, Running]) -> Running:
    return peer_and_service[1]


def post(service: Running, given: Any, **headers: str) -> httpx.Response:
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    headers = {"content-type": "text/plain; charset=UTF-8", **headers}
    return service.client.post(WEBHOOK, content=body, headers=headers)


def test_webhook_takes_genuine_envelopes(service: Running) -> None:
    genuine = [
        signed(SignatureVersion=version, **fields)
        for version in ("1", "2")
        for fields in (
            {},
            {"Subject": "Amazon SES Email Event Notification"},
            {"Subject": ""},
            {"Message": 'Zwei\nZeilen\r\n\nund ✓ 😀 \\ " \x00 MessageId\nx\n'},
            {"Message": ""},
            {"Message": "x" * 250_000},
            {"at": NOW - timedelta(hours=1)},
            {"at": NOW - timedelta(hours=23)},
            {"at": NOW + timedelta(minutes=5)},
        )
    ]
    genuine += [signed("UnsubscribeConfirmation"), {**signed(), "Subject": None}, {**signed(), "Unknown": [1]}]
    assert [post(service, one).status_code for one in genuine] == [200] * len(genuine)
    # What has verified them is known from now on, also after a restart.
    assert service.services.database.read("SELECT url FROM sns_certificates") == [{"url": sns_peer.URL}]


def forgeries() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _changed_fields()
    yield from _other_signatures()
    yield from _other_certificates()
    yield from _other_times_and_topics()


def _changed_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each signed field in each way, of each type and each version."""
    wrong: list[Any] = ["", None, 1, True, [], {}, ["x"], "\n", "x\ny", "x"]
    for version in ("1", "2"):
        for type_ in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
            good = signed(type_, SignatureVersion=version, **({"Subject": "s"} if type_ == "Notification" else {}))
            for name in sns_peer.SIGNED[type_]:
                if name == "Type":
                    continue
                yield f"{type_} {version} {name} longer", {**good, name: good[name] + "x"}
                yield f"{type_} {version} {name} with a blank", {**good, name: " " + good[name]}
                yield f"{type_} {version} {name} with a line", {**good, name: good[name] + "\n"}
                yield f"{type_} {version} {name} missing", {key: good[key] for key in good if key != name}
                yield from ((f"{type_} {version} {name} {value!r}", {**good, name: value}) for value in wrong)
            for other in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
                if other != type_:
                    yield f"{type_} {version} as {other}", {**good, "Type": other}
    plain = signed()
    yield "a Subject added", {**plain, "Subject": "s"}
    with_subject = signed(Subject="s")
    moved = {**with_subject, "MessageId": f"{with_subject['MessageId']}\nSubject\ns"}
    yield "a Subject in the MessageId", {key: moved[key] for key in moved if key != "Subject"}
    yield "a Timestamp in the Subject", sign(envelope(Subject="s\nTimestamp\n2026-01-01T00:00:00.000Z"))
    yield "U+0085 in the Subject", sign(envelope(Subject="s\x85"))
    yield "U+2028 in the Subject", sign(envelope(Subject="s\u2028"))
    yield "half a character", {**plain, "Message": "\ud800"}


def _other_signatures() -> Iterator[tuple[str, dict[str, Any]]]:
    good, other = signed(), signed(SignatureVersion="2")
    raw = base64.b64decode(good["Signature"])
    for name, value in (
        ("of another message", signed()["Signature"]),
        ("of another version", other["Signature"]),
        ("empty", ""),
        ("short", base64.b64encode(raw[:-1]).decode()),
        ("long", base64.b64encode(raw + b"x").decode()),
        ("zeros", base64.b64encode(bytes(256)).decode()),
        ("flipped", base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()),
        ("no base64", "!" + good["Signature"]),
        ("urlsafe", "-_" + good["Signature"][2:]),
        ("broken over lines", good["Signature"][:76] + "\n" + good["Signature"][76:]),
        ("none", None),
        ("a number", 1),
        ("a list", [good["Signature"]]),
    ):
        yield f"signature {name}", {**good, "Signature": value}
    for version in ("2", "3", "0", "", "1 ", "01", "١", 1, 2.0, None, ["1"]):
        yield f"version 1 as {version!r}", {**good, "SignatureVersion": version}
    for version in ("1", "3", "02", 2, None):
        yield f"version 2 as {version!r}", {**other, "SignatureVersion": version}
    yield "SHA-1 as version 2", sign(envelope(SignatureVersion="2"), version="1")
    yield "SHA-256 as version 1", sign(envelope(SignatureVersion="1"), version="2")
    yield "of somebody else", sign(envelope(), key_name="attacker")
    yield "without", {key: good[key] for key in good if key != "Signature"}


LOOK_ALIKES = [
    f"http://{HOST}{PATH}",
    f"HTTPS://{HOST}{PATH}",
    f"https://{HOST}:443{PATH}",
    f"https://{HOST}:8443{PATH}",
    f"https://user@{HOST}{PATH}",
    f"https://{HOST}@evil.example{PATH}",
    f"https://{HOST}.evil.example{PATH}",
    f"https://{HOST}.{PATH}",
    f"https://evil.example/{HOST}{PATH}",
    f"https://evil.example{PATH}",
    f"https://{HOST}{PATH}?x=1",
    f"https://{HOST}{PATH}#x",
    f"https://{HOST}{PATH}\n",
    f" https://{HOST}{PATH}",
    f"https://{HOST}/x{PATH}",
    f"https://{HOST}/..{PATH}",
    f"https://{HOST}/{PATH}",
    f"https://{HOST}/SimpleNotificationService-0123.pem",
    f"https://{HOST}/SimpleNotificationService-{'Z' * 32}.pem",
    f"https://{HOST}/SimpleNotificationService-{'A' * 32}.pem",
    f"https://{HOST}/?Action=GetCertificate",
    f"https://{HOST.upper()}{PATH}",
    f"https://sns.amazonaws.com{PATH}",
    f"https://sns.s3-us-west-2.amazonaws.com{PATH}",
    f"https://sns.s3.eu-west-1.amazonaws.com{PATH}",
    f"https://sns-eu-west-1.amazonaws.com{PATH}",
    f"https://sns.eu-west-9.amazonaws.com{PATH}",
    f"https://sns.eu-west-1.amazonaws.com.cn{PATH}",
    f"https://sns.cn-north-1.amazonaws.com{PATH}",
    f"https://sns.eu-west-1.amazonaws.co{PATH}",
    f"https://sns.eu-west-1xamazonaws.com{PATH}",
    f"https://sns.eu-west-1.amazonaws.com\\@evil.example{PATH}",
    f"https://sns.eu-west-1.amazonaws.com%2eevil.example{PATH}",
    f"https://sns.еu-west-1.amazonaws.com{PATH}",
    f"https://evil.sns.eu-west-1.amazonaws.com{PATH}",
    f"https://127.0.0.1{PATH}",
    f"file://{HOST}{PATH}",
    f"//{HOST}{PATH}",
    PATH,
]


def _other_certificates() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((f"certificate at {url!r}", signed(SigningCertURL=url)) for url in LOOK_ALIKES)
    wrong: tuple[object, ...] = (None, 1, "", [], {})
    yield from ((f"certificate at {url!r}", {**signed(), "SigningCertURL": url}) for url in wrong)
    for n in range(len(WRONG_CERTIFICATES)):
        key_name = "attacker" if n < 4 else "sns"
        yield f"certificate {n}", sign(envelope(SigningCertURL=f"https://{HOST}{wrong_path(n)}"), key_name=key_name)


WRONG_CERTIFICATES: list[dict[str, Any]] = [
    {"name": "evil.example", "key_name": "attacker"},
    {"name": "sns.eu-west-1.amazonaws.com", "key_name": "attacker"},
    {"name": "sns.amazonaws.com.evil.example", "key_name": "attacker"},
    {"name": "evil.example", "alternative": "*.amazonaws.com", "key_name": "attacker"},
    {"name": "sns.amazonaws.com", "valid_from": timedelta(days=-400), "valid_for": timedelta(days=399)},
    {"name": "sns.amazonaws.com", "valid_from": timedelta(days=1)},
    {"name": "sns.amazonaws.com", "is_elliptic": True},
    {"name": "sns.amazonaws.com", "key_name": "other"},
]


def wrong_path(n: int) -> str:
    return f"/SimpleNotificationService-{n:032x}.pem"


def _other_times_and_topics() -> Iterator[tuple[str, dict[str, Any]]]:
    now = datetime.now(UTC)  # a run may take longer than the tolerance
    for span in (timedelta(hours=25), timedelta(days=2), timedelta(days=29), timedelta(days=3650)):
        yield f"{span} old", signed(at=now - span)
    for span in (timedelta(minutes=30), timedelta(hours=2), timedelta(days=1), timedelta(days=3650)):
        yield f"{span} ahead", signed(at=now + span)
    for text in (
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-02-21T14:30:00.000",
        "1771684200",
        "0001-01-01T00:00:00+23:59",
    ):
        yield f"at {text!r}", sign(envelope(Timestamp=text))
    for topic in (
        "arn:aws:sns:eu-west-1:999999999999:ses-events",
        "arn:aws:sns:us-east-1:123456789012:ses-events",
        f"{TOPIC}2",
        TOPIC[:-1],
        TOPIC.upper(),
        f" {TOPIC}",
        f"{TOPIC}:1",
        "arn:aws:sns:*:*:*",
        "*",
        f"{TOPIC},{TOPIC}",
        "arn:aws:sqs:eu-west-1:123456789012:ses-events",
    ):
        yield f"topic {topic!r}", signed(TopicArn=topic)


def test_webhook_accepts_no_forgery_and_fetches_nothing_for_one(peer: SnsPeer, service: Running) -> None:
    peer.files |= {wrong_path(n): sns_peer.certificate(**wrong) for n, wrong in enumerate(WRONG_CERTIFICATES)}
    before = service.services.database.read("SELECT id FROM feedback_seen")
    forged = list(forgeries())
    assert len(forged) >= 200
    told = {name: post(service, one).status_code for name, one in forged}
    assert Counter(told.values()) == {403: len(told)}, {name: status for name, status in told.items() if status != 403}
    assert service.services.database.read("SELECT id FROM feedback_seen") == before
    allowed = {(HOST, PATH), *((HOST, wrong_path(n)) for n in range(len(WRONG_CERTIFICATES)))}
    assert set(peer.requests) - {one for one in peer.requests if "ConfirmSubscription" in one[1]} <= allowed
    assert peer.confirmed == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"\x00" * 1_000_000, 400),
        (b"junk " * 200_000, 400),
        (b"[" * 1_000_000, 400),
        (b"\xff\xfe{}", 400),
        (b'{"Type": "Notification", "Subject": "\xe9"}', 400),
        (b'{"Type": "\xed\xa0\x80"}', 400),
        (b'{"Type": "Notification", "Type": "Notification"}', 422),
        (b'{"Type":' * 100_000, 400),
        (b'{"Type": NaN}', 400),
        (b"9" * 10_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"Notification"', 422),
        (b"{}", 422),
        (b'{"Type": "Other"}', 422),
        (b'{"Type": ["Notification"]}', 422),
        (b'{"Type": {"a": 1}}', 422),
        (b'{"eventType": "Bounce", "mail": {}}', 422),
        (b'{"Type": "Notification"}', 403),
        (b'{"Type": "Notification", "MessageId": "\\u0000"}', 403),
        (b"x" * 3_000_000, 413),
    ],
    ids=lambda value: str(value[:20]) + str(len(value)) if isinstance(value, bytes) else None,
)
def test_webhook_tells_what_is_no_envelope(service: Running, body: bytes, status: int) -> None:
    assert post(service, body).status_code == status
    # Even a form, a picture, or no type at all.
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png", ""):
        assert service.client.post(WEBHOOK, content=body, headers={"content-type": kind}).status_code == status


def test_raw_delivery_is_refused_with_its_reason(service: Running) -> None:
    answer = post(service, ses_events.bounce(), **{"x-amz-sns-rawdelivery": "true"})
    assert answer.status_code == 422
    assert "raw message delivery must be off" in answer.json()["errors"][0]["message"]


def test_webhook_ignores_the_content_type(service: Running) -> None:
    for kind in ("text/plain; charset=UTF-8", "application/json", "application/x-www-form-urlencoded", ""):
        assert post(service, signed(), **{"content-type": kind}).status_code == 200


def test_subscription_is_confirmed_by_its_token_never_by_its_url(peer: SnsPeer, service: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/?Action=ConfirmSubscription"
        given = signed("SubscriptionConfirmation", Token="t&TopicArn=other", SubscribeURL=url)
        assert [post(service, given).status_code for _ in range(3)] == [200] * 3
        with pytest.raises(TimeoutError):
            trap.accept()
    expected = {
        "Action": "ConfirmSubscription",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Token": "t&TopicArn=other",
    }
    assert peer.confirmed == [expected]
    assert [name for name, path in peer.requests if "Confirm" in path] == [HOST]
    peer.requests.clear()


def test_subscription_that_sns_refuses_is_not_taken(peer: SnsPeer, service: Running) -> None:
    post(service, signed())  # its certificate is known
    given = signed("SubscriptionConfirmation")
    try:
        peer.status = 400
        assert post(service, given).status_code == 403
        peer.status = 500
        answer = post(service, given)
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    finally:
        peer.status = 200
    assert post(service, given).status_code == 200
    peer.requests.clear()


def test_signed_message_that_is_no_event_is_taken_without_effect(service: Running) -> None:
    for message in ("Successfully validated SNS topic for Amazon SES event publishing.", "{}", "[" * 100_000, "null"):
        assert post(service, signed(Message=message)).status_code == 200


def test_message_is_followed_from_send_to_the_webhook_to_the_audit_trail(peer: SnsPeer, service: Running) -> None:
    accepted = service.send("onboarding_welcome", "ada@example.org", WELCOME).raise_for_status().json()
    message_id = accepted["messages"][0]["id"]
    told = service.until(message_id, "sent")
    own = told["message_id"]
    headers = [{"name": "Message-ID", "value": f"<{own}>"}]
    events = [ses_events.delivery("ada@example.org"), ses_events.bounce("Permanent", "General", "ada@example.org")]
    for one in events:
        one["mail"]["headers"] = headers
        given = sns_peer.notification(one)
        assert [post(service, given).status_code for _ in range(2)] == [200, 200]
    told = service.message(message_id)
    assert (told["status"], told["bounce_type"], told["bounce_subtype"]) == ("bounced", "permanent", "General")
    assert told["delivered_at"] == "2026-02-21T14:31:00.123000Z"
    assert [event["type"] for event in told["events"]] == ["accepted", "attempted", "sent", "delivered", "bounced"]
    assert told["events"][-1]["smtp_code"] == 550
    again = service.send("onboarding_welcome", "Ada@example.org", WELCOME)
    assert (again.status_code, again.json()["messages"][0]["status"]) == (201, "suppressed")


def test_notification_posted_twenty_times_at_once_counts_once(service: Running) -> None:
    message_id = service.send("onboarding_welcome", "bob@example.org", WELCOME).json()["messages"][0]["id"]
    own = service.until(message_id, "sent")["message_id"]
    event = ses_events.complaint("abuse", ["bob@example.org", "boss@example.org"])
    event["mail"]["commonHeaders"] = {"messageId": f"<{own}>"}
    given = sns_peer.notification(event)
    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(lambda _: post(service, given).status_code, range(20))) == {200}
    told = service.message(message_id)
    assert (told["status"], [one["type"] for one in told["events"]].count("complaint")) == ("complaint", 1)
    stranger = service.send("onboarding_welcome", "boss@example.org", WELCOME).json()
    assert stranger["messages"][0]["status"] == "queued"


def test_notification_comes_again_after_a_locked_database_and_counts_once(service: Running) -> None:
    message_id = service.send("onboarding_welcome", "held@example.org", WELCOME).json()["messages"][0]["id"]
    event = ses_events.delivery("held@example.org")
    event["mail"]["commonHeaders"] = {"messageId": f"<{service.until(message_id, 'sent')['message_id']}>"}
    given = sns_peer.notification(event)
    post(service, signed())  # the certificate is known
    with closing(sqlite3.connect(service.services.settings.email_data_dir / "rgz-email.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [post(service, given)]
        other.rollback()
    answers += [post(service, given) for _ in range(2)]
    assert [one.status_code for one in answers] == [503, 200, 200]
    assert int(answers[0].headers["retry-after"]) > 0
    told = service.message(message_id)
    assert (told["status"], [one["type"] for one in told["events"]].count("delivered")) == ("delivered", 1)


def test_webhook_refuses_everything_without_an_allowed_topic(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), works=False) as deaf:
        assert post(deaf, signed()).status_code == 403


def test_certificate_that_cannot_be_fetched_just_now_is_fetched_again(tmp_path: Path) -> None:
    with (
        sns_peer.sns_peer(tmp_path) as (peer, settings),
        running(settings_for(tmp_path, **settings), works=False) as service,
    ):
        answers = []
        for n, (status, file) in enumerate([(500, b"x"), (404, b"x"), (302, b"x"), (200, None), (200, b"no PEM")]):
            peer.status, peer.files = status, {wrong_path(n): file} if file is not None else {}
            answers.append(post(service, signed(SigningCertURL=f"https://{HOST}{wrong_path(n)}")))
        assert [one.status_code for one in answers] == [503] * 5
        assert all(int(one.headers["retry-after"]) > 0 for one in answers)
        assert len(peer.requests) == 5  # no redirect was followed
        # Whoever posts on and on does not make us ask on and on.
        assert post(service, signed(SigningCertURL=f"https://{HOST}{wrong_path(4)}")).status_code == 503
        assert len(peer.requests) == 5
        peer.status, peer.files = 200, {PATH: sns_peer.certificate()}
        with ThreadPoolExecutor(10) as threads:
            assert set(threads.map(lambda _: post(service, signed()).status_code, range(10))) == {200}
        assert len(peer.requests) == 6  # once for all who waited


@pytest.mark.parametrize("how", ["hangs", "is away", "has another authority"])
def test_webhook_answers_in_time_and_serves_others_when_sns_cannot_be_reached(tmp_path: Path, how: str) -> None:
    with sns_peer.sns_peer(tmp_path) as (peer, settings):
        if how == "is away":
            settings["email_sns_host_override"] = "127.0.0.1:1"
        if how == "has another authority":
            settings["email_sns_cert_ca_file"] = None
        with running(settings_for(tmp_path, **settings), works=False) as service:
            if how == "hangs":
                peer.hangs.set()
            began_s = time.monotonic()
            answers: list[int] = []
            waiting = threading.Thread(target=lambda: answers.append(post(service, signed()).status_code))
            waiting.start()
            assert service.client.get("/healthz").status_code == 200
            waiting.join(15)
            assert answers == [503]
            assert time.monotonic() - began_s < 15
