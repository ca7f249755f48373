"""Details of deployments that monitoring shows; a package above provides them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

#: States of deployments, the most important first.
State = Literal[
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
]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class DeploymentDetails:
    """The state, all states that hold with a sentence each, the live commit, and when the source was last fetched.

    `is_troubled`: something works less well than it should.
    """

    state: State
    conditions: Mapping[State, str]
    is_troubled: bool
    deployment_id: str | None
    commit: str | None
    live_at: datetime | None
    fetched_at: datetime | None
    holds: int
    processes: Sequence[tuple[str, str, str | None]]
