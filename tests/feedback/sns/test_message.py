"""SNS messages: reading, verification, and the certificates that are kept. The network is in tests/web."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest, MalformedRequest, NotVerified, TryLater
from service.feedback.sns import message as sns
from service.feedback.sns.certificates import MAX_KNOWN, Certificates
from service.feedback.sns.known_certificates import KnownCertificates
from service.feedback.sns.urls import CertificateUrl, certificate_url, host_of
from service.store.database import Database
from tests.support import sns_peer
from tests.support.scripted import Clock
from tests.support.sns_peer import PATH, envelope, sign, signed

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_REFUSED = (MalformedRequest, InvalidRequest, NotVerified)


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: while a browser is open in this process, the main thread has a running loop."""
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, work).result()


def encoded(what: Any) -> bytes:
    return json.dumps(what).encode()


@given(st.binary(max_size=200))
def test_sns_message_of_any_bytes_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(_REFUSED):
        sns.read(body)


@given(name=st.sampled_from(sorted(signed())), wild=_JSON)
def test_sns_message_with_any_value_of_a_field_is_read_or_refused(name: str, wild: Any) -> None:
    certificate = sns.read_certificate(sns_peer.certificate())
    original = signed()
    changed = original | {name: wild}
    try:
        sns.verify(sns.read(encoded(changed)), certificate)
    except _REFUSED:
        return
    assert name not in sns_peer.SIGNED["Notification"] or wild == original[name], "a signed field was changed"


@given(message=st.text(), subject=st.none() | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_sns_message_of_each_type_is_verified(message: str, subject: str | None) -> None:
    given_ = sign(envelope(Message=message, Subject=subject, SignatureVersion="2"))
    sns.verify(sns.read(encoded(given_)), sns.read_certificate(sns_peer.certificate()))


@pytest.mark.parametrize(
    "region",
    ["eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-7", "eusc-de-east-1", "us-iso-east-1", "me-new-9"],
)
def test_certificate_url_is_at_the_host_of_its_region(region: str) -> None:
    assert certificate_url(f"https://{host_of(region)}{PATH}") == CertificateUrl(host_of(region), PATH)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "sns.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "sns.eusc-de-east-1.amazonaws.eu"),
        ("us-isob-east-1", "sns.us-isob-east-1.sc2s.sgov.gov"),
        ("us-gov-west-1", "sns.us-gov-west-1.amazonaws.com"),
    ],
)
def test_host_is_in_the_domain_of_its_partition(region: str, host: str) -> None:
    assert host_of(region) == host
    with pytest.raises(NotVerified):
        certificate_url(f"https://sns.{region}.amazonaws.example{PATH}")


def test_certificate_lies_in_a_region_of_the_allowed_topics() -> None:
    url = f"https://sns.eu-new-7.amazonaws.com{PATH}"
    assert certificate_url(url, regions={"eu-new-7"}).host == "sns.eu-new-7.amazonaws.com"
    with pytest.raises(NotVerified):
        certificate_url(url, regions={"eu-west-1"})


class Shelf:
    """Where certificates are fetched from; `asked` is what for. Without a file nothing can be had."""

    def __init__(self, file: bytes | None, known: Sequence[CertificateUrl] = ()) -> None:
        self.file = file
        self.now_s = 0.0
        self.asked: list[CertificateUrl] = []
        self.certificates = Certificates(self.fetch, known=known, clock_s=lambda: self.now_s)

    def fetch(self, url: CertificateUrl) -> bytes:
        self.asked.append(url)
        if self.file is None:
            raise TryLater("not just now")
        return self.file

    async def can_have(self, url: CertificateUrl) -> bool:
        try:
            await self.certificates.get(url)
        except TryLater:
            return False
        return True


def urls(count: int) -> list[CertificateUrl]:
    return [CertificateUrl(sns_peer.HOST, f"/SimpleNotificationService-{n:032x}.pem") for n in range(count)]


def test_certificate_is_fetched_once_a_day_for_all_who_wait() -> None:
    async def work() -> None:
        shelf, (url,) = Shelf(sns_peer.certificate()), urls(1)
        assert all(await asyncio.gather(*(shelf.can_have(url) for _ in range(20))))
        assert len(shelf.asked) == 1
        shelf.now_s = 24 * 3600 - 1
        assert await shelf.can_have(url)
        assert len(shelf.asked) == 1
        shelf.now_s = 24 * 3600
        assert await shelf.can_have(url)
        assert len(shelf.asked) == 2

    run(work())


def test_certificates_are_kept_up_to_a_bound() -> None:
    async def work() -> None:
        shelf = Shelf(sns_peer.certificate())
        for url in urls(17):
            await shelf.can_have(url)
        await shelf.can_have(urls(17)[16])
        assert len(shelf.asked) == 17
        await shelf.can_have(urls(17)[0])  # the one that nobody has asked for the longest time
        assert len(shelf.asked) == 18

    run(work())


@pytest.mark.parametrize("file", [None, b"no PEM"])
def test_certificate_failure_is_remembered_for_a_moment(file: bytes | None) -> None:
    async def work() -> None:
        shelf, (url,) = Shelf(file), urls(1)
        assert not await shelf.can_have(url)
        shelf.file, shelf.now_s = sns_peer.certificate(), 4.0
        assert not await shelf.can_have(url)
        assert len(shelf.asked) == 1
        shelf.now_s = 5.0
        assert await shelf.can_have(url)

    run(work())


def test_certificate_fetches_are_limited_when_nonsense_is_posted() -> None:
    async def work() -> None:
        shelf = Shelf(None)
        for url in urls(200):
            assert not await shelf.can_have(url)
        assert len(shelf.asked) == 64
        shelf.file, shelf.now_s = sns_peer.certificate(), 5.0
        assert await shelf.can_have(urls(1)[0])

    run(work())


def test_certificate_that_was_fetched_is_served_while_others_fail() -> None:
    async def work() -> None:
        shelf, (good, *bad) = Shelf(sns_peer.certificate()), urls(101)
        assert await shelf.can_have(good)
        shelf.file = None
        for url in bad:
            await shelf.can_have(url)
        assert await shelf.can_have(good)

    run(work())


@pytest.mark.parametrize("is_remembered", [True, False])
def test_known_certificate_is_fetched_while_strangers_name_others(is_remembered: bool) -> None:
    """Of this process, or of one before: neither failures nor fetches that hang use up its share."""

    async def work() -> None:
        real, *others = urls(300)
        shelf = Shelf(sns_peer.certificate(), known=[real] if is_remembered else [])
        if not is_remembered:
            assert await shelf.can_have(real)
            assert shelf.certificates.verified(real)
            shelf.now_s = 24 * 3600.0  # it is fetched anew, in the middle of it
        shelf.file = None
        for url in others[:200]:
            assert not await shelf.can_have(url)
        assert len(shelf.asked) == 64 + (not is_remembered)
        shelf.file = sns_peer.certificate()
        assert not await shelf.can_have(others[-1])
        assert await shelf.can_have(real)

    run(work())


def test_known_certificate_is_fetched_while_fetches_of_others_hang() -> None:
    async def work() -> None:
        real, *others = urls(40)
        go = threading.Event()
        fetched: list[CertificateUrl] = []

        def fetch(url: CertificateUrl) -> bytes:
            fetched.append(url)
            if url != real:
                assert go.wait(20)
            return sns_peer.certificate()

        certificates = Certificates(fetch, known=[real])
        waiting = [asyncio.create_task(certificates.get(url)) for url in others]
        await asyncio.sleep(0)
        await certificates.get(real)
        go.set()
        got = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(one, TryLater) for one in got) == len(others) - 16
        assert len(fetched) == 17

    run(work())


def test_known_certificate_keeps_its_place_among_any_number_of_others() -> None:
    """Certificates of all other regions can be had, and verify nothing."""

    async def work() -> None:
        real, *others = urls(100)
        shelf = Shelf(sns_peer.certificate())
        assert await shelf.can_have(real)
        shelf.certificates.verified(real)
        for url in others:
            assert await shelf.can_have(url)
        asked = len(shelf.asked)
        assert await shelf.can_have(real)
        assert len(shelf.asked) == asked

    run(work())


def test_known_certificates_are_the_newest_within_their_bound() -> None:
    async def work() -> None:
        first, *others = urls(MAX_KNOWN + 1)
        shelf = Shelf(sns_peer.certificate())
        assert shelf.certificates.verified(first)
        assert not shelf.certificates.verified(first)
        for url in others:
            assert shelf.certificates.verified(url)
        assert shelf.certificates.verified(first)  # forgotten meanwhile

    run(work())


def test_known_certificates_are_remembered_by_the_database(database: Database) -> None:
    clock = Clock()
    known = KnownCertificates(database, clock)
    assert known.read(["eu-west-1"]) == []
    for url in urls(MAX_KNOWN + 2):
        clock.forward(seconds=1)
        known.note(url)
    assert known.read(["eu-west-1"]) == urls(MAX_KNOWN + 2)[2:]
    clock.forward(seconds=1)
    known.note(CertificateUrl("sns.eu-new-7.amazonaws.com", PATH))
    assert known.read(["eu-new-7"])[-1].host == "sns.eu-new-7.amazonaws.com"
    assert known.read(["eu-west-1"]) == urls(MAX_KNOWN + 2)[3:]  # its topic is no longer allowed
