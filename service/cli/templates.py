"""check, new: check templates and create one; needs no settings, no data directory and no service."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from service.cli.environment import template_settings
from service.cli.output_file import write_output
from service.errors import Conflict, GitError, InvalidRequest, NotFound
from service.templates.authoring.check import CheckResult
from service.templates.authoring.check import check as find
from service.templates.authoring.finding_formats import annotations, code_quality, github_commands, sarif
from service.templates.authoring.scaffold import scaffold
from service.templates.build_tools import render_limits, site_values
from service.templates.contract import BREAKING_CODES
from service.templates.isolated_compiler import compiler_of_its_own
from service.templates.log_line import log_line

_templates = click.option(
    "--templates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Template directory.",
    show_default="EMAIL_TEMPLATES_DIR",
)


_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _CheckOptions:
    ref: str | None
    allow_breaking: bool
    environment: str | None
    as_json: bool
    github: bool
    sarif: Path | None
    gitlab: Path | None

    @property
    def needs_annotations(self) -> bool:
        return self.github or self.sarif is not None or self.gitlab is not None


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--base", "ref", metavar="REF", help="Also compare with this commit: versions, and changes that break callers."
)
@click.option("--allow-breaking", is_flag=True, help="Report changes that break callers as warnings.")
@click.option(
    "--environment",
    metavar="NAME",
    help="Also report what this environment's values lack; without it, their examples fill gaps.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--github", is_flag=True, help="Print commands that GitHub shows at the lines of a pull request.")
@click.option("--sarif", type=_FILE, metavar="FILE", help="Also write the findings as SARIF 2.1.0.")
@click.option("--gitlab", type=_FILE, metavar="FILE", help="Also write the findings as GitLab's code quality report.")
@_templates
def check(keys: tuple[str, ...], templates: Path | None, **given: Any) -> None:
    """Check templates and print every finding: file:line:column, what is wrong and how to fix it.

    The exit code is 1 if there is an error, else 0; warnings do not count. With --github errors come first: GitHub
    shows 10 errors and 10 warnings of a step, and its log has them all.

    \b
    Example:
      rgz-email check
      rgz-email check rma_confirmation --base origin/main
    """
    options = _CheckOptions(**given)
    settings = template_settings(templates)
    root = _existing(settings.email_templates_dir)
    try:
        values = site_values(settings, options.environment, fills_gaps=options.environment is None)
        with compiler_of_its_own(render_limits(settings), values) as compiler:
            checked = find(root, keys, compiler=compiler, ref=options.ref, allow_breaking=options.allow_breaking)
    except (NotFound, GitError) as error:
        raise click.UsageError(str(error)) from None
    found = annotations(checked.findings, root) if options.needs_annotations else []
    if options.sarif is not None:
        write_output(options.sarif, sarif(found), "--sarif")
    if options.gitlab is not None:
        write_output(options.gitlab, code_quality(found), "--gitlab")
    if options.as_json:
        answer = {"findings": [asdict(one) for one in checked.findings], "templates": checked.templates}
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif options.github:
        click.echo("\n".join([*github_commands(found), _summary(checked)]))
    else:
        _print(checked)
    raise SystemExit(1 if checked.errors else 0)


@click.command()
@click.argument("key")
@_templates
def new(key: str, templates: Path | None) -> None:
    """Create a template: a folder with a working mail to start from.

    \b
    Example:
      rgz-email new password_changed
    """
    settings = template_settings(templates)
    root = _existing(settings.email_templates_dir)
    try:
        with compiler_of_its_own(render_limits(settings), site_values(settings, fills_gaps=True)) as compiler:
            made = scaffold(root, key, compiler=compiler)
    except InvalidRequest as error:
        raise click.UsageError(str(error)) from None
    except Conflict as error:
        _fail(str(error))
    source = made[0]
    click.echo("Created:\n" + "\n".join(f"  {_near(file)}" for file in made))
    click.echo(
        f"\nNext:\n  1. Write the mail: subject, description, category and variables at the top of {source.name},"
        " the text below.\n  2. Write an example for each variant worth seeing: examples/<name>.yaml.\n"
        f"  3. rgz-email check {key}\n"
        f"  4. rgz-email render {key} --text, or with the extra `server` rgz-email preview {key}\n"
        f"  5. rgz-email snapshots {key} --update\n"
    )


def _print(checked: CheckResult) -> None:
    for one in checked.findings:
        hint = f" ({one.hint})" if one.hint else ""
        click.echo(log_line(f"{one.file}:{one.line}:{one.column}: {one.severity}: {one.message}{hint} [{one.code}]"))
    click.echo(_summary(checked))
    refused = (one.file.split("/", 1)[0] for one in checked.findings if one.is_error and one.code in BREAKING_CODES)
    if keys := ", ".join(dict.fromkeys(refused)):
        click.echo(log_line(f'To accept what breaks callers: a commit trailer "Breaking: {keys}".'))


def _summary(checked: CheckResult) -> str:
    found = [_count(checked.errors, "error")] * bool(checked.errors)
    found += [_count(checked.warnings, "warning")] * bool(checked.warnings)
    return f"{_count(checked.templates, 'template')}: {', '.join(found) or 'no findings'}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _near(file: Path) -> Path:
    """The path as one would type it here."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _existing(root: Path) -> Path:
    if not root.is_dir():
        raise click.UsageError(f"There is no directory {root}; name the templates with --templates.")
    return root


def _fail(sentence: str) -> NoReturn:
    raise click.ClickException(sentence)
