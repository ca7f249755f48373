"""rollback, hold, unhold: serve earlier revisions, and keep bad ones out."""

from datetime import datetime

import click

from service.cli.deployed import as_json_option, print_change, services_for_a_call, until_option, why_option
from service.models import OPERATOR


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--to", metavar="NAME", help="A deployment, a commit, or with KEY a version; without it what was served before."
)
@why_option
@as_json_option
def rollback(keys: tuple[str, ...], to: str | None, why: str, as_json: bool) -> None:
    """Serve earlier revisions again, and hold those of now.

    All templates that differ, or those named. Nothing is compiled; every process serves them within a second. Sync goes
    on: the next commit is served but for revisions that are held; a fix is another revision and is served.

    \b
    Example:
      rgz-email rollback --why "the link is wrong"
      rgz-email rollback onboarding_welcome --to 3 --why "the link is wrong"
    """
    with services_for_a_call() as services:
        found = services.deployments.deployment_control.rollback(list(keys), OPERATOR, to=to, why=why)
        report = services.deployments.deployment_status.report()
    print_change(found, report, as_json=as_json)


@click.command()
@click.argument("key")
@click.option("--revision", metavar="DIGEST", help="This revision, by its beginning; without it that of now.")
@why_option
@until_option
@as_json_option
def hold(key: str, revision: str | None, why: str, until: datetime | None, as_json: bool) -> None:
    """Keep a revision of a template from being served; if it is, the one before is served instead.

    \b
    Example:
      rgz-email hold onboarding_welcome --why "waits for the new portal" --until 2026-12-01T08:00:00Z
    """
    with services_for_a_call() as services:
        found = services.deployments.deployment_control.hold(key, OPERATOR, revision=revision, why=why, until=until)
        report = services.deployments.deployment_status.report()
    print_change(found, report, as_json=as_json)


@click.command()
@click.argument("key")
@click.option("--revision", metavar="DIGEST", help="Only this revision, by its beginning.")
@as_json_option
def unhold(key: str, revision: str | None, as_json: bool) -> None:
    """Lift the holds of a template; what they kept out is served at once.

    \b
    Example:
      rgz-email unhold onboarding_welcome
    """
    with services_for_a_call() as services:
        found = services.deployments.deployment_control.unhold(key, OPERATOR, revision=revision)
        report = services.deployments.deployment_status.report()
    print_change(found, report, as_json=as_json)
