"""Bodies of requests that change what is deployed."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from service.models.requests import Moment, StrictRequest, with_example


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("out_of_range", "the calendar ends before this time") from None


_Why = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
_Key = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]
_Revision = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[0-9a-z-]*$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]*$")]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, StringConstraints(max_length=2_000_000)]
_Until = Annotated[Moment, AfterValidator(_in_utc)]

_WHY = "the reason, which stays on record"
_UNTIL = "when it ends by itself, ISO 8601 with an offset; without it somebody has to end it"


class DeployRequest(StrictRequest):
    """The body of `POST /deployments`; empty, it asks for a look at the repository now."""

    commit: _Commit | None = Field(None, description="serve this commit, by its name or the beginning of it")
    deployment: _Name | None = Field(None, description="serve this deployment, by its id")
    why: _Why | None = Field(None, description=_WHY)

    @model_validator(mode="after")
    def _one_of_them(self) -> "DeployRequest":
        if self.commit is not None and self.deployment is not None:
            raise PydanticCustomError("both", "name a commit or a deployment, not both")
        return self


class ActivateRequest(StrictRequest):
    """The body of `POST /deployments/{deployment_id}/activate`."""

    model_config = with_example({"why": "the twelve refusals are tests", "anyway": True})

    why: _Why = Field(description=_WHY)
    anyway: bool = Field(False, description="serve it although a check holds it back")


class RollbackRequest(StrictRequest):
    """The body of `POST /deployments/rollback`."""

    model_config = with_example({"keys": ["onboarding_welcome"], "why": "the link is wrong"})

    keys: list[_Key] = Field(
        default_factory=list, max_length=1_000, description="only these templates; empty: all that differ"
    )
    to: _Name | None = Field(
        None,
        description="a deployment, a commit, or with `keys` a version; without it what was served before",
    )
    why: _Why = Field(description=_WHY)


class HoldRequest(StrictRequest):
    """The body of `POST /holds`."""

    model_config = with_example({"key": "onboarding_welcome", "why": "the link is wrong"})

    key: _Key = Field(description="the template")
    revision: _Revision | None = Field(
        None, description="the revision that must not be served, or its beginning; without it that of now"
    )
    why: _Why = Field(description=_WHY)
    until: _Until | None = Field(None, description=_UNTIL)


class SuspendRequest(StrictRequest):
    """The body of `POST /deployments/suspend`."""

    model_config = with_example({"why": "end of the month: invoices go out", "until": "2026-12-01T08:00:00+01:00"})

    why: _Why = Field(description=_WHY)
    until: _Until | None = Field(None, description=_UNTIL)


class ReplayRequest(StrictRequest):
    """The body of `POST /deployments/replay`."""

    model_config = with_example({"files": {"welcome/template.mjml": "---\nsubject: Hello\n…"}, "keys": ["welcome"]})

    files: dict[_Path, _Text] = Field(
        min_length=1,
        max_length=2_000,
        description="the files of these templates and all that they take in, by their paths in the template directory",
    )
    keys: list[_Key] = Field(min_length=1, max_length=10, description="the templates whose last sends are replayed")
