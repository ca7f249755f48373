"""Extras of the package: what says so when a command needs a library that is not installed."""

from collections.abc import Mapping

import click

#: The libraries of each extra, as they are imported.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "server": (
        "aiosmtpd",
        "anyio",
        "cryptography",
        "flufl",
        "httptools",
        "huey",
        "js_lib_htmx",
        "litestar",
        "prometheus_client",
        "psycopg",
        "psycopg_pool",
        "puremagic",
        "redis",
        "sqlite_utils",
        "uuid_utils",
        "uvicorn",
        "uvloop",
        "watchfiles",
        "zstandard",
    ),
    "snapshots": ("pytest", "syrupy"),
    "pictures": ("playwright",),
}


class ExtraMissing(click.ClickException):
    """A command needs an extra that is not installed; the text says how to install it."""

    exit_code = 2

    def __init__(self, command: str, extra: str) -> None:
        super().__init__(
            f"`{command}` needs the extra `{extra}`, which is not installed: pip install 'rgz-email[{extra}]'"
        )


def extra_of(error: ModuleNotFoundError) -> str | None:
    """The extra that would bring the module that is missing; None if no extra would."""
    library = (error.name or "").partition(".")[0]
    return next((extra for extra, libraries in LIBRARIES.items() if library in libraries), None)


def stand_in(name: str, extra: str) -> click.Command:
    """A command that can't be imported without `extra`: it is listed, and called in any way it says what is missing."""

    def refuse() -> None:
        raise ExtraMissing(name, extra)

    return click.Command(
        name,
        callback=refuse,
        short_help=f"Needs the extra `{extra}`: pip install 'rgz-email[{extra}]'",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
