"""What monitoring shows of deployments, which a package above tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

#: States of deployments, as `rgz_email_deployment_state` and `/readyz` name them.
STATES = (
    "unreachable",
    "orphaned",
    "held",
    "rolled_back",
    "suspended",
    "manual",
    "degraded",
    "progressing",
    "drifted",
    "synced",
)


@dataclass(frozen=True, slots=True)
class DeploymentDetails:
    """The state, all states that hold with a sentence each, the live commit, and when the source was last fetched.

    `is_troubled`: something works less well than it should.
    """

    state: str
    conditions: Mapping[str, str]
    is_troubled: bool
    deployment_id: str | None
    commit: str | None
    live_at: datetime | None
    fetched_at: datetime | None
    holds: int
    processes: Sequence[tuple[str, str, str | None]]
