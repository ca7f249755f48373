"""VERB: what Amazon SNS posts -> verified, understood, recorded once. Verify, then parse: nothing is believed before.

A message's content decides about no request of ours but which file of SNS's own certificates is fetched.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from service.errors import NotVerified, RequestRefused, TryLater
from service.feedback import ses, sns, sns_places
from service.feedback.report import Report
from service.feedback.sns import Envelope
from service.feedback.sns_certificates import Certificates
from service.feedback.sns_line import SnsLine

_SOURCE = "sns"
#: SNS waits 15 s for an answer ("Message delivery retries").
_PATIENCE_S = 13.0
_MAX_REASON_LENGTH = 200

T = TypeVar("T")

_log = structlog.get_logger("receive")


class Receiver:
    """Takes in what is posted for these topics, and for no other; without a topic nothing is.

    `record` is that of `Recorder`, `knows` tells whether it has had a notification. Both block.
    """

    def __init__(
        self,
        topics: Collection[str],
        line: SnsLine,
        record: Callable[[str, str, Sequence[Report]], object],
        knows: Callable[[str, str], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._topics = frozenset(topics)
        self._regions = frozenset(sns_places.region_of(topic) for topic in topics)
        self._line = line
        self._certificates = Certificates(line.fetch)
        self._record = record
        self._knows = knows
        self._clock = clock

    async def receive(self, body: bytes) -> None:
        """Has the effect of a notification, once; answers within 15 s whatever the network does.

        Raises MalformedRequest or InvalidRequest for what is no envelope, NotVerified for one that is not SNS's or not
        for us, TryLater or StoreBusy where it should come again.
        """
        envelope = sns.read(body)
        try:
            with anyio.fail_after(_PATIENCE_S):
                await self._verify(envelope)
                await (self._notified if envelope.type == "Notification" else self._subscribed)(envelope)
        except NotVerified as error:
            _log.warning("not_verified", reason=str(error), type=envelope.type)
            raise
        except TimeoutError as error:
            # What is under way in a thread may yet be stored; SNS repeats it, and it counts once.
            raise TryLater("This takes too long just now.", retry_after_s=10) from error

    async def _verify(self, envelope: Envelope) -> None:
        # Whatever costs a request to SNS comes last: anybody may post here.
        if envelope.topic_arn not in self._topics:
            raise NotVerified("TopicArn is not in EMAIL_SNS_TOPIC_ARNS.")
        url = sns_places.certificate_url(envelope.certificate_url, regions=self._regions)
        sns.check_age(envelope, now=self._clock())
        sns.verify(envelope, await self._certificates.get(url))

    async def _notified(self, envelope: Envelope) -> None:
        reports = _understand(envelope)
        await _in_thread(partial(self._record, envelope.message_id, _SOURCE, reports))

    async def _subscribed(self, envelope: Envelope) -> None:
        if await _in_thread(partial(self._knows, envelope.message_id, _SOURCE)):
            return
        if envelope.type == "SubscriptionConfirmation" and envelope.token is not None:
            # Never by the SubscribeURL of the message (CVE-2026-32096): by its token, at the region of our own topic.
            host = sns_places.host_of(sns_places.region_of(envelope.topic_arn))
            await _in_thread(partial(self._line.confirm, host, envelope.topic_arn, envelope.token))
            _log.info("subscribed", topic=envelope.topic_arn)
        else:
            _log.warning("unsubscribed", topic=envelope.topic_arn)
        await _in_thread(partial(self._record, envelope.message_id, _SOURCE, ()))


def judge(body: bytes, certificate: bytes, *, at: datetime | None = None) -> str | None:
    """Why this envelope is not one that the owner of this certificate signed; None where it is. Asks no network.

    The age of the envelope and its topic are not looked at; `at` is when the certificate must be valid, else the
    envelope's own time.
    """
    try:
        envelope = sns.read(body)
        sns_places.certificate_url(envelope.certificate_url)
        sns.verify(envelope, sns.read_certificate(certificate), at=at)
    except ValueError:
        return "The certificate is not PEM."
    except RequestRefused as error:
        return str(error)
    return None


def _understand(envelope: Envelope) -> Sequence[Report]:
    """What SES says in it. A message of another kind comes from our own topic and is signed: refusing it would only
    make SNS repeat it, so it is logged and has no effect (SES tries a topic out with a sentence, for one).
    """
    try:
        event = ses.parse(envelope.message, at=envelope.at)
    except ses.NotAnEvent as error:
        _log.warning("not_understood", reason=str(error)[:_MAX_REASON_LENGTH], notification=envelope.message_id)
        return ()
    _log.debug("understood", kind=event.kind, reports=len(event.reports))
    return event.reports


async def _in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
