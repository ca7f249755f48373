"""The command `rgz-email`: its subcommands, and the messages and exit codes of errors."""

import importlib
import sys
from typing import NoReturn

import click
from typing_extensions import override

from service import __version__
from service.cli.extras import ExtraMissing, extra_of, stand_in
from service.errors import ConfigurationError, EmailServiceError, RequestRefused, TemplateInvalid

#: Where each command lives. A module is imported only for the command that is called: most need no web server.
_COMMANDS = {
    "serve": "serve:serve",
    "api": "serve:api",
    "worker": "serve:worker",
    "init": "init:init",
    "check": "templates:check",
    "new": "templates:new",
    "render": "render:render",
    "diff": "diff:diff",
    "comment": "comment:comment",
    "preview": "preview:preview",
    "snapshots": "snapshots:snapshots",
    "sync": "sync:sync",
    "deployments": "deployments:deployments",
    "rollback": "rollback:rollback",
    "hold": "rollback:hold",
    "unhold": "rollback:unhold",
    "suspend": "sync:suspend",
    "resume": "sync:resume",
    "send": "messages:send",
    "messages": "messages:messages",
    "suppressions": "suppressions:suppressions",
    "sns": "sns:sns",
    "person": "person:person",
    "purge": "purge:purge",
    "keys": "keys:keys",
    "actions": "actions:actions",
    "bounces": "bounces:bounces",
    "addresses": "addresses:addresses",
    "migrate": "config:migrate",
    "config": "config:config",
}


class _Group(click.Group):
    """Imports a command when it is called, and prints our own errors as sentences; only a bug shows a traceback."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(f"service.cli.{module}"), name)
        except ModuleNotFoundError as error:
            if (extra := extra_of(error)) is None:
                raise
            return stand_in(cmd_name, extra)
        return command

    @override
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            _fail(2, ["The settings are invalid:", *(f"  {problem}" for problem in error.problems)])
        except TemplateInvalid as error:
            _fail(1, [str(finding) for finding in error.findings])
        except RequestRefused as error:
            lines = [f"  {problem.pointer or 'request'}: {problem.message}" for problem in error.problems]
            _fail(1, [str(error), *lines])
        except EmailServiceError as error:
            _fail(1, [str(error)])
        except ModuleNotFoundError as error:
            if (extra := extra_of(error)) is None:
                raise
            raise ExtraMissing(str(ctx.invoked_subcommand), extra) from error


def _fail(code: int, lines: list[str]) -> NoReturn:
    click.echo("\n".join(lines), err=True)
    sys.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rgz-email")
def main() -> None:
    """E-mail templates as code: render, send, retry, and track what became of every message.

    Settings come from environment variables; `rgz-email config` lists them all.

    \b
    Example:
      rgz-email serve --port 8000
    """
