"""POST /deployments/replay: would what callers sent lately be accepted by the templates of a pull request?"""

from litestar import Controller, post
from typing_extensions import TypedDict

from service.deployments.proposed_replay import ProposedReplay
from service.deployments.replay import ReplayResult
from service.models import Scope
from service.models.deployment_requests import ReplayRequest
from service.web.auth import require
from service.web.dependencies import Provided, json_body

#: Texts of templates: a hundred of them have a tenth of it.
MAX_BODY_BYTES = 8_000_000
#: Different refusals of one template that are told.
_MAX_TOLD = 20


class RefusedAnswer(TypedDict):
    """How many sends of a source endpoint would be refused at a JSON pointer; `*` in it stands for a caller's key."""

    endpoint: str
    pointer: str
    count: int


class ReplayedAnswer(TypedDict):
    """The result for a template; `failure` says why it could not be replayed."""

    key: str
    replayed: int
    refused: int
    by: list[RefusedAnswer]
    failure: str | None


class ReplayAnswer(TypedDict):
    """The results, in numbers alone; for the keys in `left` there was no time, and they may be asked about again."""

    environment: str
    days: int
    templates: list[ReplayedAnswer]
    left: list[str]


class DeploymentReplayController(Controller):
    """Replays of what is not deployed yet."""

    path = "/deployments/replay"
    guards = [require(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @post("/", status_code=200, sync_to_thread=True, dependencies={"asked": json_body(ReplayRequest)})
    def replay(self, asked: Provided[ReplayRequest], proposed_replay: Provided[ProposedReplay]) -> ReplayAnswer:
        """Try templates that are not deployed with what callers sent in the last 30 days.

        Nothing is stored or sent. The answer has numbers by source endpoint and JSON pointer: no variable, no address
        and no text of a mail. After 20 seconds no further template is begun. 503 while others are asking.
        """
        found = proposed_replay.of(asked.files, asked.keys)
        return {
            "environment": found.environment,
            "days": found.days,
            "templates": [_answer(one) for one in found.results],
            "left": list(found.left),
        }


def _answer(one: ReplayResult) -> ReplayedAnswer:
    told = sorted(one.refused.items(), key=lambda item: -item[1])[:_MAX_TOLD]
    return {
        "key": one.key,
        "replayed": one.replayed,
        "refused": sum(one.refused.values()),
        "by": [{"endpoint": endpoint, "pointer": place, "count": count} for (endpoint, place), count in told],
        "failure": one.failure,
    }
