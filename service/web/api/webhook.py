"""POST /webhook: what Amazon SNS delivers."""

from typing import TypedDict

from litestar import Controller, post
from litestar.params import RawBody

from service.feedback.webhook import WebhookReceiver
from service.web.dependencies import Provided

#: A notification has 256 KB at most (SNS quotas); as JSON in JSON it may grow, and a multiple is still little.
MAX_BODY_BYTES = 2 * 1024 * 1024


class WebhookAnswer(TypedDict):
    """A notification that is recorded."""

    status: str


class WebhookController(Controller):
    """Open to everybody: the signature says who speaks."""

    @post("/webhook", status_code=200, opt={"webhook": True})
    async def receive(self, body: RawBody, webhook_receiver: Provided[WebhookReceiver]) -> WebhookAnswer:
        """Take bounces, complaints and deliveries of Amazon SES, as Amazon SNS posts them.

        200 once it is recorded, now or before; 403 where it can't be verified; 503 asks SNS to repeat it. The content
        type is not looked at: SNS says text/plain.
        """
        await webhook_receiver.receive(body)
        return {"status": "accepted"}
