"""init: make a template repository; needs no settings, no data directory and no service."""

import os
from pathlib import Path
from typing import get_args

import click

from service.config.settings import Settings
from service.errors import Conflict
from service.templates.authoring.new_repository import Forge, new_repository, require_empty, write_repository
from service.templates.build_tools import render_limits


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--forge",
    type=click.Choice(get_args(Forge)),
    default="github",
    show_default=True,
    help="The forge whose CI guards the mails.",
)
def init(folder: Path, forge: Forge) -> None:
    """Make a template repository in an empty folder: two mails, their snapshots, and CI that passes.

    \b
    Example:
      rgz-email init mails
      rgz-email init . --forge gitlab
    """
    try:
        require_empty(folder)
        repository = new_repository(forge, render_limits(Settings()))
        write_repository(folder, repository.files)
    except Conflict as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Created in {folder}: {len(repository.files)} files, with {len(repository.keys)} mails.")
    if top := _checkout_above(folder):
        click.echo(f"Note: {folder} is inside the checkout {top}, and a forge runs only the CI at the top of one.")
    click.echo("\nNext:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(_steps(folder), 1)))


def _steps(folder: Path) -> list[str]:
    begin = "" if (folder / ".git").exists() else "git init && "
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    return [
        f'{enter}{begin}git add --all && git commit -m "Begin with two mails"',
        "Write your organisation's name and addresses into email_templates/values/production.yaml.",
        "rgz-email check && rgz-email render account_welcome --text",
        "Push it, and open a pull request: README.md tells what it shows.",
    ]


def _checkout_above(folder: Path) -> Path | None:
    """The checkout of another repository that holds this folder."""
    above = folder.resolve()
    if (above / ".git").exists():
        return None
    return next((Path(os.path.relpath(one)) for one in above.parents if (one / ".git").exists()), None)
