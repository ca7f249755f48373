"""deployments: what is served, what was, and whether another environment serves the same."""

import sys

import click

from service.cli.compare import compare
from service.cli.deployed import (
    as_json_option,
    as_line,
    as_lines,
    as_row,
    item_row,
    print_change,
    print_json,
    services_for_a_call,
    state_lines,
    state_row,
    why_option,
)
from service.deployments.changes import DeploymentChanges
from service.deployments.history import DeploymentFilter
from service.models import OPERATOR, Change, DeploymentState


@click.group(invoke_without_command=True)
@click.option("--key", help="Only deployments that changed this template.")
@click.option("--since", help="Only those prepared since this ISO 8601 time.")
@click.option("--state", type=click.Choice(list(DeploymentState)), help="Only those in this state.")
@click.option("--commit", help="Only those of this commit, by its name or the beginning.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Deployments to show.")
@as_json_option
@click.pass_context
def deployments(context: click.Context, /, limit: int, as_json: bool, **filters: str | None) -> None:
    """List deployments, newest first.

    \b
    Example:
      rgz-email deployments --key onboarding_welcome
      rgz-email deployments current
    """
    if context.invoked_subcommand is not None:
        return
    with services_for_a_call() as services:
        page = services.deployments.deployment_history.search(DeploymentFilter(**filters), limit=limit)
    if as_json:
        print_json({"items": [as_row(one) for one in page.items], "total": page.total, "next": page.next})
        return
    for one in page.items:
        click.echo(as_line(one))
    click.echo(f"{len(page.items)} of {page.total}{' or more' if page.total_capped else ''}")


deployments.add_command(compare)


@deployments.command()
@as_json_option
def current(as_json: bool) -> None:
    """Show what is live, in which state, what waits, holds, and what each process serves.

    Exits with 1 where something is wrong: held, degraded, orphaned or unreachable.

    \b
    Example:
      rgz-email deployments current
    """
    with services_for_a_call() as services:
        report = services.deployments.deployment_status.report()
    if as_json:
        print_json(state_row(report))
    else:
        click.echo("\n".join(state_lines(report)))
    sys.exit(1 if report.is_troubled else 0)


@deployments.command()
@click.argument("deployment_id", metavar="ID")
@click.option("--diff", "with_diff", is_flag=True, help="Show what changed of the source, too.")
@click.option("--against", metavar="ID", help="Compare with this deployment or commit, not with the one before.")
@as_json_option
def show(deployment_id: str, with_diff: bool, against: str | None, as_json: bool) -> None:
    """Show a deployment, by its id or commit, with the templates that it changed.

    \b
    Example:
      rgz-email deployments show 3f2a91c07b1e --diff
    """
    with services_for_a_call() as services:
        found = services.deployments.deployment_history.detail(deployment_id)
        comparison = services.deployments.deployment_comparison
        changes = comparison.changes(deployment_id, against=against) if with_diff or against else None
    shown = [item for item in found.items if item.change is not Change.SAME or item.findings]
    if as_json:
        row = as_row(found.deployment) | {"items": [item_row(item) for item in found.items]}
        print_json(row | ({"diff": _diff_of(changes)} if changes else {}))
        return
    click.echo("\n".join(as_lines(found.deployment)))
    for item in shown:
        held = f" (wanted: {item.wanted_revision[:12]}, held)" if item.wanted_revision else ""
        click.echo(f"{item.change.value:<15} {item.key} {(item.revision or 'none')[:12]}{held}")
        for finding in item.findings:
            click.echo(f"{'':15} {finding}")
    if changes is not None:
        click.echo(_diff_of(changes))


@deployments.command()
@click.argument("deployment_id", metavar="ID")
@click.option("--anyway", is_flag=True, help="Serve it although a check holds it back.")
@why_option
@as_json_option
def activate(deployment_id: str, anyway: bool, why: str, as_json: bool) -> None:
    """Serve a deployment that waits, is held back by a check (with --anyway), or was served before.

    \b
    Example:
      rgz-email deployments activate 3f2a91c07b1e --anyway --why "the refusals are tests"
    """
    with services_for_a_call() as services:
        found = services.deployments.deployment_requests.activate(deployment_id, OPERATOR, why=why, anyway=anyway)
        report = services.deployments.deployment_status.report()
    print_change(found, report, as_json=as_json)


def _diff_of(changes: DeploymentChanges) -> str:
    """All unified diffs as one text; what is not shown is named."""
    files = [*(file for one in changes.templates for file in one.files), *changes.shared]
    lines = [file.unified() if file.is_shown else f"(not shown: {file.path})" for file in files]
    return "\n".join(lines)
