"""Webhook for Amazon SNS: verify a notification, then parse and record it, each once.

Before it is verified, a notification decides nothing but which of SNS's own certificate files is fetched.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import anyio.to_thread
import structlog

from service.errors import NotVerified, RequestRefused, TryLater
from service.feedback.event import FeedbackEvent, Notification
from service.feedback.sns import message, ses_event, urls
from service.feedback.sns.certificates import Certificates
from service.feedback.sns.client import SnsClient
from service.feedback.sns.known_certificates import KnownCertificates
from service.feedback.sns.message import SnsEnvelope
from service.store.batcher import Batcher

_SOURCE = "sns"
#: Time-out of a request; SNS waits 15 s for an answer ("Message delivery retries").
_TIMEOUT_S = 13.0
_MAX_REASON_LENGTH = 200

#: Notifications that may wait, some seconds' worth at a thousand a second; further ones get 503.
_MAX_WAITING = 2_000
#: Notifications in one transaction.
_MAX_BATCH = 128

T = TypeVar("T")

_log = structlog.get_logger("receive")


class WebhookReceiver:
    """Receives notifications of these topics and no others.

    `record_all` and `exists` are FeedbackRecorder's; both block. `known` are the certificates of earlier notifications.
    """

    def __init__(
        self,
        topics: Collection[str],
        client: SnsClient,
        record_all: Callable[[Sequence[Notification]], Sequence[object]],
        exists: Callable[[str, str], bool],
        clock: Callable[[], datetime],
        known: KnownCertificates,
    ) -> None:
        self._topics = frozenset(topics)
        self._regions = frozenset(urls.region_of(topic) for topic in topics)
        self._client = client
        self._known = known
        self._certificates = Certificates(client.fetch, known=known.read(self._regions))
        self._batcher: Batcher[Notification, object] = Batcher(
            record_all,
            name="feedback",
            max_waiting=_MAX_WAITING,
            max_batch=_MAX_BATCH,
            full=lambda: TryLater("Too many notifications wait to be recorded."),
        )
        self._exists = exists
        self._clock = clock

    async def receive(self, body: bytes) -> None:
        """Verify and record a notification, once; returns within 15 s whatever the network does.

        Raises MalformedRequest or InvalidRequest for a body that is no envelope, NotVerified for one that is not from
        SNS or not for us, TryLater or StoreBusy where SNS should send it again.
        """
        envelope = message.read(body)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._verify(envelope)
                await (self._notified if envelope.type == "Notification" else self._subscribed)(envelope)
        except NotVerified as error:
            _log.warning("not_verified", reason=str(error), type=envelope.type)
            raise
        except TimeoutError as error:
            # A thread may still store it; SNS repeats it, and it is recorded once.
            raise TryLater("This takes too long just now.", retry_after_s=10) from error

    def close(self) -> None:
        """Record the notifications that wait, and end."""
        self._batcher.close()

    async def _verify(self, envelope: SnsEnvelope) -> None:
        # Checks that need a request to SNS come last: anybody may post here.
        if envelope.topic_arn not in self._topics:
            raise NotVerified("TopicArn is not in EMAIL_SNS_TOPIC_ARNS.")
        url = urls.certificate_url(envelope.certificate_url, regions=self._regions)
        message.check_age(envelope, now=self._clock())
        message.verify(envelope, await self._certificates.get(url))
        if self._certificates.verified(url):
            await _in_thread(partial(self._known.note, url))

    async def _notified(self, envelope: SnsEnvelope) -> None:
        await self._batcher.submit_async(Notification(envelope.notification_id, _SOURCE, _parse(envelope)))

    async def _subscribed(self, envelope: SnsEnvelope) -> None:
        if await _in_thread(partial(self._exists, envelope.notification_id, _SOURCE)):
            return
        if envelope.type == "SubscriptionConfirmation" and envelope.token is not None:
            # Never by the message's SubscribeURL (CVE-2026-32096), but by its token, in the region of our own topic.
            host = urls.host_of(urls.region_of(envelope.topic_arn))
            await _in_thread(partial(self._client.confirm, host, envelope.topic_arn, envelope.token))
            _log.info("subscribed", topic=envelope.topic_arn)
        else:
            _log.warning("unsubscribed", topic=envelope.topic_arn)
        await self._batcher.submit_async(Notification(envelope.notification_id, _SOURCE))


def verify_offline(body: bytes, certificate: bytes, *, at: datetime | None = None) -> str | None:
    """Check without a network that this certificate's owner signed this envelope; returns why not, or None.

    Age and topic of the envelope are not checked. The certificate must be valid at `at`, else at the envelope's time.
    """
    try:
        envelope = message.read(body)
        urls.certificate_url(envelope.certificate_url)
        message.verify(envelope, message.read_certificate(certificate), at=at)
    except ValueError:
        return "The certificate is not PEM."
    except RequestRefused as error:
        return str(error)
    return None


def _parse(envelope: SnsEnvelope) -> Sequence[FeedbackEvent]:
    """Parse the SES event in an SNS envelope; no event for another message.

    Another message comes from our own topic and is signed: refusing it would only make SNS repeat it, so it is logged
    and has no effect (SES itself tests a topic with a sentence).
    """
    try:
        event = ses_event.parse(envelope.message, at=envelope.at)
    except ses_event.NotAnEvent as error:
        _log.warning("not_understood", reason=str(error)[:_MAX_REASON_LENGTH], notification=envelope.notification_id)
        return ()
    _log.debug("understood", kind=event.kind, reports=len(event.events))
    return event.events


async def _in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
