"""The command `rgz-email`: its subcommands, and how an error is told."""

import sys
from typing import NoReturn

import click

from service import __version__
from service.cli import keys, mail, operate, run, templates
from service.errors import ConfigurationError, EmailServiceError, RequestRefused, TemplateInvalid


class _Group(click.Group):
    """Tells our errors as sentences; a stack is for bugs only."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            _fail(2, ["These settings can't work:", *(f"  {problem}" for problem in error.problems)])
        except TemplateInvalid as error:
            _fail(1, [str(finding) for finding in error.findings])
        except RequestRefused as error:
            lines = [f"  {problem.pointer or 'request'}: {problem.message}" for problem in error.problems]
            _fail(1, [str(error), *lines])
        except EmailServiceError as error:
            _fail(1, [str(error)])


def _fail(code: int, lines: list[str]) -> NoReturn:
    click.echo("\n".join(lines), err=True)
    sys.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rgz-email")
def main() -> None:
    """E-mail templates as code: render, send, retry, and know what became of every mail.

    Settings come from the environment; `rgz-email config` shows them all.

    \b
    Example:
      rgz-email serve --port 8000
    """


for command in (
    run.serve,
    run.api,
    run.worker,
    templates.render,
    mail.send,
    mail.messages,
    keys.keys,
    operate.migrate,
    operate.config,
):
    main.add_command(command)
