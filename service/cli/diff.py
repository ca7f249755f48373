"""diff: what a pull request changes, as mails; needs no settings, no data directory and no service."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from service.cli.environment import template_settings
from service.cli.output_file import write_output
from service.config.template_project import snapshots_of
from service.errors import GitError, NoBrowser
from service.isolation.child_processes import ChildProcesses
from service.templates import isolated_compiler, mails
from service.templates.build_tools import render_limits, site_values
from service.templates.diff import terminal
from service.templates.diff.compare import DiffMaker
from service.templates.diff.comparison import Comparison
from service.templates.diff.html import report_html
from service.templates.diff.markdown import markdown
from service.templates.diff.pictures import take_pictures
from service.templates.diff.report import Report, ServiceReplay, Verdict
from service.templates.diff.service_replay import ask_service
from service.templates.diff.sides import read_sides

_NO_BROWSER = 3
#: Fewer are done before one reads about them.
_FEWEST = 20


class FailOn(click.ParamType[tuple[str, ...]]):
    """Words between commas, each of what a diff can fail on; `never` for none."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split the words. Fails with a usage error for an unknown one."""
        words = tuple(word.strip() for word in str(value).split(",") if word.strip())
        known = get_args(Verdict)
        for word in words:
            if word not in (*known, "never"):
                self.fail(f"{word!r} is none of {', '.join(known)}, never", param, ctx)
        return tuple(word for word in known if word in words)


@dataclass(frozen=True, slots=True)
class _Options:
    base_ref: str
    head_ref: str | None
    out: Path | None
    pictures: bool | None
    service: str | None
    as_json: bool
    fail_on: tuple[str, ...]
    allow_breaking: bool
    templates: Path | None


@click.command()
@click.option("--base", "base_ref", required=True, metavar="REF", help="What the change is compared with: main.")
@click.option("--head", "head_ref", metavar="REF", help="The changed commit; without it the working tree.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write report.html, report.md and report.json into it.",
)
@click.option(
    "--pictures/--no-pictures",
    default=None,
    help="Show pictures of mails in report.html, or their HTML in frames.",
    show_default="pictures where there is a Chromium",
)
@click.option(
    "--service",
    metavar="URL",
    help="Let this running service replay its recent sends; its key (scope deploy) is in RGZ_EMAIL_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json.")
@click.option(
    "--fail-on",
    type=FailOn(),
    default="breaking,errors",
    show_default=True,
    metavar="WORDS",
    help="Exit with 1 for any of breaking, errors, warnings, snapshots; never for none.",
)
@click.option("--allow-breaking", is_flag=True, help="Accept changes that break callers.")
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Template directory.")
def diff(**given: Any) -> None:
    """Show what a change does to mails: which ones, why, before and after, and what callers must change.

    Compares with the commit at which the head left REF. The exit code is 0, 1 for what --fail-on names, 2 for wrong
    usage, 3 where --pictures is given and there is no Chromium.

    \b
    Example:
      rgz-email diff --base origin/main --out report
    """
    options = _Options(**given)
    settings = template_settings(options.templates)
    root = settings.email_templates_dir
    if not root.is_dir():
        raise click.UsageError(f"There is no directory {root}; name the templates with --templates.")
    limits = render_limits(settings)
    values = site_values(settings, fills_gaps=True)
    with closing(ChildProcesses([isolated_compiler.MODULE, mails.MODULE])) as children:
        children.start()
        try:
            sides = read_sides(root, options.base_ref, options.head_ref, snapshots_of(root))
        except GitError as error:
            raise click.UsageError(str(error)) from None
        maker = DiffMaker(
            isolated_compiler.IsolatedCompiler(children, limits, values),
            mails.MailRenderer(children, limits),
            Progress(),
        )
        comparison = maker.compare(sides, allow_breaking=options.allow_breaking)
    if options.service is not None:
        comparison = with_replay(comparison, ask_service(options.service, comparison))
    comparison = judged(comparison, options.fail_on)
    if options.as_json:
        click.echo(comparison.report.model_dump_json())
    else:
        click.echo("\n".join(terminal.lines(comparison.report)))
    if options.out is not None:
        written = write_reports(options.out, comparison, wants_pictures=options.pictures)
        click.echo(f"Report: {written} ({written.stat().st_size / 1e6:,.1f} MB)", err=options.as_json)
    raise SystemExit(1 if comparison.report.fails else 0)


def write_reports(folder: Path, comparison: Comparison, *, wants_pictures: bool | None) -> Path:
    """Write the reports into a folder, which is made if it is not there; return the path of report.html.

    Exits with 3 where pictures are wanted and there is no browser; with None frames stand for them then.
    """
    write_output(folder / "report.json", f"{comparison.report.model_dump_json(indent=1)}\n", "--out")
    write_output(folder / "report.md", markdown(comparison.report), "--out")
    album = None
    if wants_pictures is not False:
        try:
            album = take_pictures(comparison, on_progress=partial(Progress(), "taking pictures"))
        except NoBrowser as error:
            click.echo(f"{error} The mails in report.html are in frames.", err=True)
            if wants_pictures:
                raise SystemExit(_NO_BROWSER) from None
    page = folder / "report.html"
    write_output(page, report_html(comparison, album), "--out")
    return page


def with_replay(comparison: Comparison, replay: ServiceReplay) -> Comparison:
    """With what a running service says about its recent sends."""
    return replace(comparison, report=comparison.report.model_copy(update={"replay": replay}))


def judged(comparison: Comparison, fail_on: Sequence[str]) -> Comparison:
    """With `fails`: what of `fail_on` is the case."""
    report = comparison.report
    return replace(
        comparison, report=report.model_copy(update={"fails": [one for one in fail_on if _is_case(report, one)]})
    )


def _is_case(report: Report, what: str) -> bool:
    shown = report.snapshots
    replayed = report.replay.templates if report.replay else ()
    accepted = {one.key for one in report.contract if one.is_accepted}
    return {
        "breaking": any(one.is_breaking and not one.is_accepted for one in report.contract)
        or any(one.refused and one.key not in accepted for one in replayed),
        "errors": any(one.severity == "error" for one in report.findings.new),
        "warnings": any(one.severity == "warning" for one in report.findings.new),
        "snapshots": bool(shown.wrong or shown.missing or shown.orphans),
    }[what]


class Progress:
    """Progress on standard error: on a terminal one line that changes, elsewhere a line for each quarter."""

    def __init__(self) -> None:
        self._told = ("", -1)

    def __call__(self, step: str, done: int, total: int) -> None:
        """Tell that `done` of `total` are done."""
        if total < _FEWEST:
            return
        quarter = 4 * done // total
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            click.echo(f"\r{step}: {done} of {total} ", err=True, nl=False)
            click.echo(end, err=True, nl=False)
        elif (step, quarter) != self._told:
            self._told = (step, quarter)
            click.echo(f"{step}: {done} of {total}", err=True)
