"""The run of a CI job, read from its environment: the repository, the pull request, and the commit at its head."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

_MAX_EVENT_BYTES = 25_000_000  # what GitHub sends at most


@dataclass(frozen=True, slots=True)
class CiRun:
    """A run; what is None is not known.

    `head` is the commit that the run was for. With `head_branch` and `head_repository` the pull request must be looked
    up, for the run can't name it (GitHub's workflow_run for a fork). `run` is the number of the run with the artifacts,
    `url` its page. `nothing_to_do` says why there is no pull request.
    """

    repository: str | None = None
    number: int | None = None
    head: str | None = None
    head_branch: str | None = None
    head_repository: str | None = None
    run: int | None = None
    url: str | None = None
    nothing_to_do: str | None = None


def ci_run(forge: str, environment: Mapping[str, str]) -> CiRun:
    """Read the run from the environment, and GitHub's event from its file. Raises click.UsageError."""
    return _gitlab(environment) if forge == "gitlab" else _github(environment)


def _gitlab(environment: Mapping[str, str]) -> CiRun:
    number = environment.get("CI_MERGE_REQUEST_IID", "")
    # In a pipeline of merged results CI_COMMIT_SHA is the commit of the merge.
    head = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environment.get("CI_COMMIT_SHA")
    return CiRun(
        repository=environment.get("CI_MERGE_REQUEST_PROJECT_PATH") or environment.get("CI_PROJECT_PATH"),
        number=int(number) if number.isdecimal() else None,
        head=head if number else None,
        url=environment.get("CI_JOB_URL"),
    )


def _github(environment: Mapping[str, str]) -> CiRun:
    repository = environment.get("GITHUB_REPOSITORY")
    event = _event(environment)
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    try:
        if environment.get("GITHUB_EVENT_NAME") == "workflow_run":
            return _workflow_run(event["workflow_run"], repository, server)
        run = environment.get("GITHUB_RUN_ID", "")
        known = CiRun(repository, run=int(run) if run.isdecimal() else None)
        if known.run is not None and repository:
            known = CiRun(repository, run=known.run, url=f"{server}/{repository}/actions/runs/{known.run}")
        if "pull_request" not in event:
            return known
        found = event["pull_request"]
        return CiRun(repository, int(found["number"]), str(found["head"]["sha"]), run=known.run, url=known.url)
    except (KeyError, TypeError, ValueError):
        raise click.UsageError("The event in GITHUB_EVENT_PATH is not as GitHub writes it.") from None


def _workflow_run(found: Any, repository: str | None, server: str) -> CiRun:
    run = int(found["id"])
    of_fork = found["head_repository"] or {}  # None once the fork is deleted
    if found["event"] != "pull_request" or not of_fork.get("full_name"):
        return CiRun(repository, nothing_to_do="The run was for no pull request that is there; nothing is to be done.")
    return CiRun(
        repository,
        head=str(found["head_sha"]),
        head_branch=str(found["head_branch"]),
        head_repository=str(of_fork["full_name"]),
        run=run,
        url=f"{server}/{repository}/actions/runs/{run}",
    )


def _event(environment: Mapping[str, str]) -> dict[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH")
    if not path:
        return {}
    try:
        with Path(path).open("rb") as opened:
            event = json.loads(opened.read(_MAX_EVENT_BYTES))
    except (OSError, ValueError, RecursionError):
        raise click.UsageError("The event in GITHUB_EVENT_PATH can't be read.") from None
    return event if isinstance(event, dict) else {}
