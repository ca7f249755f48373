"""Variables on the command line: `--set NAME=VALUE`."""

import json
from typing import Any

import click


def assignment(text: str) -> tuple[str, Any]:
    """Parse `NAME=VALUE`; a value that is not JSON is text. Raises click.BadParameter."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r}: write NAME=VALUE", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
