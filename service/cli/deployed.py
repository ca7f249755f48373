"""Shared parts of the commands about deployments: services for one call, options, and printing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from service.bootstrap import Services, build
from service.cli.environment import read_settings
from service.deployments.status import StatusReport
from service.models import DeployedSnapshots, Deployment, DeploymentItem, Hold

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason, which stays on record.")


class Moment(click.ParamType[datetime]):
    """An ISO 8601 time; one without an offset is in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the time, in UTC. Fails with a usage error."""
        try:
            at = datetime.fromisoformat(str(value))
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no ISO 8601 time such as 2026-12-01T08:00:00Z", param, ctx)


until_option = click.option(
    "--until",
    type=Moment(),
    metavar="TIME",
    help="When it ends by itself, ISO 8601; without it somebody has to end it.",
)


@contextmanager
def services_for_a_call() -> Iterator[Services]:
    """All services, closed at the end."""
    services = build(read_settings(), mailbox_port=None)
    try:
        yield services
    finally:
        services.close()


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def as_row(one: Deployment) -> dict[str, Any]:
    """A deployment as JSON values, as the API has it."""
    commit = one.commit
    return {
        "id": one.id,
        "commit": commit.id if commit else None,
        "state": one.state.value,
        "trigger": one.trigger.value,
        "reason": one.reason,
        "created_at": _time(one.created_at),
        "live_at": _time(one.live_at),
        "ended_at": _time(one.ended_at),
        "source": one.source,
        "ref": one.ref,
        "author": commit.author if commit else None,
        "first_line": commit.first_line if commit else None,
        "requested_by": one.requested_by,
        "why": one.why,
        "templates": one.templates_count,
        "changed": one.changed_count,
        "broken": one.broken_count,
        "snapshots": asdict(one.snapshots) if one.snapshots else None,
    }


def item_row(item: DeploymentItem) -> dict[str, Any]:
    """A template of a deployment as JSON values."""
    return {
        "key": item.key,
        "revision": item.revision,
        "wanted_revision": item.wanted_revision,
        "change": item.change.value,
        "findings": [str(one) for one in item.findings],
    }


def hold_row(hold: Hold) -> dict[str, Any]:
    """A hold as JSON values."""
    return {
        "key": hold.key,
        "revision": hold.revision,
        "held_by": hold.held_by,
        "why": hold.why,
        "since": _time(hold.since_at),
        "until": _time(hold.held_until),
    }


def state_row(report: StatusReport) -> dict[str, Any]:
    """The state as JSON values."""
    return {
        "state": report.state,
        "mode": report.mode,
        "conditions": [{"state": one.code, "message": one.message} for one in report.conditions],
        "deployment": as_row(report.live) if report.live else None,
        "next": as_row(report.next) if report.next else None,
        "holds": [hold_row(hold) for hold in report.holds],
        "processes": [
            {"id": one.id, "role": one.role, "deployment_id": one.deployment_id, "seen_at": _time(one.seen_at)}
            for one in report.processes
        ],
        "dirty": list(report.dirty),
    }


def as_line(one: Deployment) -> str:
    """A deployment in one line: when, what became of it, its commit and its first line."""
    commit = one.commit
    name = commit.id[:12] if commit else "no commit"
    line = (commit.first_line if commit else None) or ""
    return f"{one.created_at:%Y-%m-%d %H:%M:%S}  {one.id}  {one.state.value:<7}  {name:<12}  {line}".rstrip()


def as_lines(one: Deployment) -> list[str]:
    """What is to be said of a deployment beside its line."""
    changed = f"{one.templates_count} templates, {one.changed_count} changed, {one.broken_count} broken"
    author = one.commit.author if one.commit else None
    by = f"{one.trigger.value} by {one.requested_by}" if one.requested_by else one.trigger.value
    lines = [as_line(one), f"  {by}{f', commit by {author}' if author else ''}: {changed}"]
    lines += [f"  why: {one.why}"] if one.why else []
    lines += _snapshot_lines(one.snapshots) if one.snapshots else []
    return lines + [f"  {line}" for line in (one.reason or "").splitlines()]


def _snapshot_lines(found: DeployedSnapshots) -> list[str]:
    """How the mails of changed templates compare with the commit's snapshots."""
    lines = [f"  snapshots: {found.equal} equal, {found.differing} differ, {found.missing} missing"]
    for what, count, mails in (
        ("differs", found.differing, found.differing_mails),
        ("missing", found.missing, found.missing_mails),
    ):
        lines += [f"    {what}: {mail}" for mail in mails]
        lines += [f"    … and {count - len(mails)} more"] if count > len(mails) else []
    return lines


def state_lines(report: StatusReport) -> list[str]:
    """The state for people: every condition, what is live, what waits, holds and processes."""
    lines = [f"{one.code}: {one.message}" for one in report.conditions]
    lines += ["live:", *(f"  {line}" for line in as_lines(report.live))] if report.live else ["live: nothing yet"]
    if report.next is not None:
        lines += ["waits:", *(f"  {line}" for line in as_lines(report.next))]
    lines += [hold_line(hold) for hold in report.holds]
    lines += [f"dirty: {key}" for key in report.dirty]
    live_id = report.live.id if report.live else None
    for one in report.processes:
        serves = "serves it" if one.deployment_id == live_id else f"serves {one.deployment_id or 'nothing yet'}"
        lines.append(f"process: {one.role} {one.id} {serves}")
    return lines


def hold_line(hold: Hold) -> str:
    """A hold in one line."""
    until = f" until {hold.held_until:%Y-%m-%d %H:%M}" if hold.held_until else ""
    return f"hold: {hold.key} {hold.revision[:12]}{until}, by {hold.held_by}: {hold.why}"


def print_change(found: Deployment | None, report: StatusReport, *, as_json: bool) -> None:
    """Print what a change led to: the deployment that serves it, and the state."""
    if as_json:
        print_json({"state": report.state, "deployment": as_row(found) if found else None})
        return
    click.echo("\n".join([*(as_lines(found) if found else []), f"state: {report.state}"]))


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
