"""sync, suspend, resume: look at the template repository, follow it, or let newer commits wait."""

import signal
import sys
import threading
import time
from datetime import datetime

import click

from service.bootstrap import Services
from service.cli.deployed import (
    as_json_option,
    print_change,
    print_json,
    services_for_a_call,
    state_lines,
    state_row,
    until_option,
    why_option,
)
from service.deployments.status import StatusReport
from service.errors import Conflict
from service.models import OPERATOR, Trigger
from service.worker import ABORT_S, DeploymentLoops

#: Looking for the answer of a process that follows the repository, seconds.
_LOOK_EVERY_S = 0.2
#: How often a process that follows looks whether it was told to end, seconds.
SIGNAL_LOOK_S = 0.5
#: What ends a wait: the look is answered, and no process is behind.
_UNDER_WAY = "progressing"


@click.command()
@click.option("--wait", "waits", is_flag=True, help="Wait until the look is answered and every process serves it.")
@click.option("--timeout", "timeout_s", default=300.0, show_default=True, type=click.FloatRange(1, 86_400),
              help="Seconds that --wait waits.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Follow the repository in this process until it is stopped.")
@as_json_option
def sync(waits: bool, timeout_s: float, watch: bool, as_json: bool) -> None:
    """Look at the template repository now, and serve what is new.

    Whichever process follows the repository does it; where EMAIL_TEMPLATES_GIT_SYNC is manual, this is what serves a
    commit. With --watch this process follows it beside the service: then it alone needs git, the network and the
    credentials. Exits with 1 where the commit is held or waits, the repository can't be read or nobody answers in time.

    \b
    Example:
      rgz-email sync --wait
      rgz-email sync --watch
    """
    if watch and waits:
        raise click.UsageError("--watch and --wait exclude each other.")
    with services_for_a_call() as services:
        if watch:
            _watch(services)
            return
        number = services.deployments.deployment_control.look(Trigger.COMMAND, OPERATOR)
        is_answered, report = _wait(services, number, timeout_s) if waits else (
            True,
            services.deployments.deployment_status.report(),
        )  # fmt: skip
    if as_json:
        print_json(state_row(report) | {"request": number, "answered": report.source.done_look >= number})
    elif waits:
        click.echo("\n".join(state_lines(report)))
    else:
        click.echo(f"Request {number} to look at the repository is stored; state: {report.state}")
    if waits and not is_answered:
        click.echo(f"No process answered within {timeout_s:g} s; is a worker or `sync --watch` running?", err=True)
    sys.exit(1 if waits and not (is_answered and _is_good(report)) else 0)


def _wait(services: Services, number: int, timeout_s: float) -> tuple[bool, StatusReport]:
    """Wait for the answer to a request, and until no process is behind; tells each state on the way."""
    end, told = time.monotonic() + timeout_s, ""
    while True:
        report = services.deployments.deployment_status.report()
        is_answered = report.source.done_look >= number
        now = "waits for a process that follows the repository" if not is_answered else report.conditions[0].message
        if now != told:
            click.echo(now, err=True)
            told = now
        codes = {one.code for one in report.conditions}
        if is_answered and (_UNDER_WAY not in codes or "held" in codes or report.source.failure):
            return True, report
        if time.monotonic() >= end:
            return False, report
        time.sleep(_LOOK_EVERY_S)


def _is_good(report: StatusReport) -> bool:
    """Whether the newest commit is served; one that a check holds back, or a suspension lets wait, is not."""
    codes = {one.code for one in report.conditions}
    is_live = report.next is None and not codes & {"held", "unreachable", "orphaned", _UNDER_WAY}
    return is_live and report.source.failure is None


def _watch(services: Services) -> None:
    """Follow the repository until a signal, as the process that is there for nothing else."""
    deployments = services.deployments
    if deployments.syncer is None:
        raise Conflict("Templates are served from a directory here; EMAIL_TEMPLATES_GIT_URL names a repository.")
    deployments.syncer.gives_way = False  # to this process, which does nothing else, others give way
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loops = DeploymentLoops(services, "sync")
    loops.start()
    click.echo("The repository is followed.", err=True)
    while not stop.wait(SIGNAL_LOOK_S):  # a signal may reach the process through another thread
        pass
    loops.stop()
    loops.join(ABORT_S)


@click.command()
@why_option
@until_option
@as_json_option
def suspend(why: str, until: datetime | None, as_json: bool) -> None:
    """Let newer commits wait: they are fetched and prepared, and not served until sync is resumed.

    \b
    Example:
      rgz-email suspend --why "invoices go out" --until 2026-12-01T08:00:00Z
    """
    with services_for_a_call() as services:
        services.deployments.deployment_control.suspend(OPERATOR, why=why, until=until)
        report = services.deployments.deployment_status.report()
    print_change(None, report, as_json=as_json)


@click.command()
@as_json_option
def resume(as_json: bool) -> None:
    """Serve newer commits again, and look for them now.

    \b
    Example:
      rgz-email resume
    """
    with services_for_a_call() as services:
        services.deployments.deployment_control.resume(OPERATOR)
        report = services.deployments.deployment_status.report()
    print_change(None, report, as_json=as_json)
