"""POST /webhook: what Amazon SNS delivers."""

from typing import Any

from litestar import Controller, Request, post

from service.web.auth import services_of

#: A notification has 256 KB at most (SNS quotas); as JSON in JSON it may grow, and a multiple is still little.
MAX_BODY_BYTES = 2 * 1024 * 1024


class WebhookController(Controller):
    """Open to everybody: the signature says who speaks."""

    @post("/webhook", status_code=200)
    async def receive(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """Take bounces, complaints and deliveries of Amazon SES, as Amazon SNS posts them.

        200 once it is recorded, now or before; 403 where it can't be verified; 503 asks SNS to repeat it. The content
        type is not looked at: SNS says text/plain.
        """
        await services_of(request).webhook_receiver.receive(await request.body())
        return {"status": "accepted"}
