"""Cache of SNS's signing certificates: concurrent requests for one share a single fetch.

Anybody may post an envelope, and each may name another certificate. Those that have verified an envelope are known, and
what strangers name can't come in their way: it neither uses up their fetches nor takes their places.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import anyio
import anyio.to_thread
import structlog

from service.errors import TryLater
from service.feedback.sns import message
from service.feedback.sns.urls import CertificateUrl

#: Known certificates. SNS uses one at a time in a region, for about a year.
MAX_KNOWN = 16
#: Other certificates.
_MAX_KEPT = 16
#: A revoked certificate is trusted for at most this long.
_KEPT_S = 24 * 3600.0
#: A failed fetch is not repeated for this long, and after too many failures none of an unknown certificate begins:
#: forged notifications must not make us flood SNS with requests.
_FAILED_S = 5.0
_MAX_FAILED = 64
_MAX_UNDER_WAY = 16
#: Time-out of a fetch; SNS waits 15 s for our answer.
_TIMEOUT_S = 9.0

_log = structlog.get_logger("sns")

_Fetching = asyncio.Task[message.Certificate]


class Certificates:
    """Cache for one event loop. `fetch` blocks, and raises NotVerified or TryLater. `clock_s` is monotonic.

    `known` are the certificates that have verified an envelope before, the newest last.
    """

    def __init__(
        self,
        fetch: Callable[[CertificateUrl], bytes],
        *,
        known: Sequence[CertificateUrl] = (),
        clock_s: Callable[[], float] = time.monotonic,
        patience_s: float = _TIMEOUT_S,
    ) -> None:
        self._fetch = fetch
        self._clock_s = clock_s
        self._patience_s = patience_s
        self._kept: OrderedDict[CertificateUrl, tuple[float, message.Certificate]] = OrderedDict()
        self._failed: OrderedDict[CertificateUrl, float] = OrderedDict()
        self._under_way: dict[CertificateUrl, _Fetching] = {}
        self._known: OrderedDict[CertificateUrl, None] = OrderedDict.fromkeys(known[-MAX_KNOWN:])

    async def get(self, url: CertificateUrl) -> message.Certificate:
        """Return the certificate at this URL. Raises TryLater for any failure: SNS repeats after a 503."""
        now_s = self._clock_s()
        if (kept := self._kept.get(url)) and kept[0] > now_s:
            self._kept.move_to_end(url)
            return kept[1]
        while self._failed and next(iter(self._failed.values())) <= now_s:
            self._failed.popitem(last=False)
        if url in self._failed:
            raise TryLater("The certificate could not be had a moment ago.", retry_after_s=10)
        return await asyncio.shield(self._under_way.get(url) or self._begin(url))

    def verified(self, url: CertificateUrl) -> bool:
        """Note that the certificate at this URL has verified an envelope; True if it was not known before."""
        is_new = url not in self._known
        self._known[url] = None
        self._known.move_to_end(url)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return is_new

    def _unknown(self, urls: Collection[CertificateUrl]) -> list[CertificateUrl]:
        return [url for url in urls if url not in self._known]

    def _begin(self, url: CertificateUrl) -> _Fetching:
        is_full = (
            len(self._unknown(self._under_way)) >= _MAX_UNDER_WAY or len(self._unknown(self._failed)) >= _MAX_FAILED
        )
        if is_full and url not in self._known:
            raise TryLater("Too many certificates are being asked for.", retry_after_s=10)
        task = asyncio.create_task(self._load(url))
        self._under_way[url] = task
        task.add_done_callback(lambda done: self._ended(url, done))
        return task

    def _ended(self, url: CertificateUrl, done: _Fetching) -> None:
        self._under_way.pop(url, None)
        if not done.cancelled():
            done.exception()  # waiters have it; without any, asyncio would log it as never retrieved

    async def _load(self, url: CertificateUrl) -> message.Certificate:
        try:
            with anyio.fail_after(self._patience_s):
                pem = await anyio.to_thread.run_sync(self._fetch, url, abandon_on_cancel=True)
            certificate = message.read_certificate(pem)
        except Exception as error:
            self._failed[url] = self._clock_s() + _FAILED_S
            _log.warning("certificate_not_had", host=url.host, reason=str(error.__cause__ or error))
            raise TryLater("The certificate of Amazon SNS can't be had just now.", retry_after_s=10) from error
        self._kept[url] = (self._clock_s() + _KEPT_S, certificate)
        self._kept.move_to_end(url)
        for unknown in self._unknown(self._kept)[:-_MAX_KEPT]:
            del self._kept[unknown]
        return certificate
