"""comment: keep one comment on a pull request up to date, from a report.json that anybody may have written."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from service.cli.ci_run import CiRun, ci_run
from service.errors import ForgeError, GitError, InvalidRequest, NotFound
from service.templates.diff.markdown import markdown
from service.templates.diff.read_report import MAX_REPORT_BYTES, read_report
from service.templates.diff.report import Report
from service.templates.source.connection import read_token
from service.templates.source.forge_api import ForgeApi
from service.templates.source.forge_artifacts import ForgeArtifacts
from service.templates.source.forge_comments import WORKFLOWS_BOT, ForgeComments, PullRequest

_REFUSED, _NOT_DONE = 1, 3
_FILE = "report.json"
#: Where each forge's CI keeps the URL of its API, and the API of the public one.
_API = {
    "github": ("GITHUB_API_URL", "https://api.github.com"),
    "gitlab": ("CI_API_V4_URL", "https://gitlab.com/api/v4"),
}


@dataclass(frozen=True, slots=True)
class _Options:
    report: Path | None
    artifact: str | None
    forge: Literal["github", "gitlab"]
    repository: str | None
    number: int | None
    run_url: str | None
    token_file: Path | None
    author: str
    dry_run: bool


@click.command()
@click.option(
    "--report", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The report.json of rgz-email diff."
)
@click.option("--artifact", metavar="NAME", help="Read report.json from this artifact of the run (GitHub) instead.")
@click.option(
    "--forge",
    type=click.Choice(["github", "gitlab"]),
    help="Where the comment is.",
    show_default="the one that runs it",
)
@click.option("--repository", metavar="OWNER/NAME", help="The repository.", show_default="the one that runs it")
@click.option(
    "--number", type=click.IntRange(min=1), metavar="N", help="The pull request.", show_default="that of the event"
)
@click.option("--run-url", metavar="URL", help="The page with the whole report.", show_default="that of the run")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the token.",
    show_default="GITHUB_TOKEN or GITLAB_TOKEN",
)
@click.option(
    "--author",
    default=WORKFLOWS_BOT,
    show_default=True,
    metavar="LOGIN",
    help="The author's name where the token may not ask for it: that of a GitHub App.",
)
@click.option("--dry-run", is_flag=True, help="Print the comment, and send nothing.")
def comment(**given: Any) -> None:
    """Keep one comment on a pull request up to date with what a change does to mails.

    The report may be a stranger's: it is validated, its texts are escaped, and it must be of the commit at the head of
    the pull request, which the event and the forge name, never the report. The exit code is 0 (also where the pull
    request was closed, has a newer commit, or its run made no report), 1 if the report is refused, 2 for wrong usage, 3
    if the forge refuses or can't be reached.

    \b
    Example:
      rgz-email comment --artifact mails-report
      rgz-email comment --report report/report.json --dry-run
    """
    forge = given["forge"] or ("gitlab" if os.environ.get("GITLAB_CI") else "github")
    options = _Options(**(given | {"forge": forge}))
    if (options.report is None) == (options.artifact is None):
        raise click.UsageError("Give either --report or --artifact.")
    run = ci_run(options.forge, os.environ)
    if run.nothing_to_do:
        click.echo(run.nothing_to_do)
        return
    try:
        _comment(options, run)
    except NotFound as error:  # the run ended before there was a report
        click.echo(f"{error} Nothing is to be done.")
    except InvalidRequest as error:
        _fail(_REFUSED, str(error))
    except ForgeError as error:
        _fail(_NOT_DONE, str(error))


def _comment(options: _Options, run: CiRun) -> None:
    if options.dry_run and options.report is not None:
        report = read_report(_bytes(options.report))
        _check_head(report, run.head)
        click.echo(markdown(report, run_url=options.run_url or run.url), nl=False)
        return
    comments = _comments(options, run)
    report = read_report(
        _artifact(comments, run, str(options.artifact)) if not options.report else _bytes(options.report)
    )
    text = markdown(report, run_url=options.run_url or run.url)
    pull_request = _pull_request(comments, options, run, report)
    if isinstance(pull_request, str):
        click.echo(pull_request)
        return
    _check_head(report, pull_request.head)
    if options.dry_run:
        click.echo(text, nl=False)
        return
    kept = comments.keep(pull_request.number, text)
    click.echo(f"The comment on pull request {pull_request.number} is {kept}.")


def _comments(options: _Options, run: CiRun) -> ForgeComments:
    repository = options.repository or run.repository
    if not repository or "/" not in repository:
        raise click.UsageError("Name the repository with --repository OWNER/NAME.")
    setting, usual = _API[options.forge]
    token = _token(options)
    api = ForgeApi(options.forge, os.environ.get(setting) or usual, lambda: token, setting)
    return ForgeComments(api, repository, options.author, time.sleep)


def _token(options: _Options) -> str:
    name = "GITLAB_TOKEN" if options.forge == "gitlab" else "GITHUB_TOKEN"
    if options.token_file is None:
        token = os.environ.get(name, "").strip()
        if not token:
            raise click.UsageError(f"Give a token in {name} or with --token-file.")
        return token
    try:
        return read_token(options.token_file, "--token-file")
    except GitError as error:
        raise click.UsageError(str(error)) from None


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_REPORT_BYTES + 1)


def _artifact(comments: ForgeComments, run: CiRun, name: str) -> bytes:
    if comments.api.kind != "github" or run.run is None:
        raise click.UsageError("--artifact needs a run of a GitHub workflow; give --report.")
    artifacts = ForgeArtifacts(comments.api, comments.repository, comments.sleep)
    return artifacts.read(run.run, name, _FILE, max_bytes=MAX_REPORT_BYTES)


def _pull_request(comments: ForgeComments, options: _Options, run: CiRun, report: Report) -> PullRequest | str:
    """The pull request; a sentence where there is none any more."""
    if run.head_branch is None or run.head_repository is None or run.head is None:
        number = options.number or run.number
        if number is None:
            raise click.UsageError("Name the pull request with --number.")
        found = comments.pull_request(number)
        is_newer = run.head is not None and found.head != run.head
        return f"Pull request {number} has a newer commit; its own run comments." if is_newer else found
    listed = comments.open_with_head(run.head, run.head_branch, run.head_repository)
    if options.number is not None:
        listed = [one for one in listed if one.number == options.number]
    if len(listed) > 1:  # into several branches; which one the run was for, the event does not say
        ref = report.base.ref.removeprefix("origin/")
        listed = [one for one in listed if one.base_branch == ref] or listed
    if len(listed) > 1:
        numbers = ", ".join(str(one.number) for one in listed)
        raise InvalidRequest(f"Several pull requests have this head: {numbers}; name one with --number.")
    return listed[0] if listed else f"No open pull request has the commit {run.head}; nothing is to be done."


def _check_head(report: Report, head: str | None) -> None:
    if head is not None and report.head.commit != head:
        told = report.head.commit or "a working tree"
        raise InvalidRequest(f"report.json is of {told}, and the pull request's head is {head}; it is refused.")


def _fail(code: int, sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    raise SystemExit(code)
