"""addresses: would this service take them?"""

import json
import sys
from typing import TypedDict

import click

from service.mail.addresses import AddressInvalid, parse


class _Checked(TypedDict):
    address: str
    ok: bool
    normalised: str | None
    reason: str | None


@click.group()
def addresses() -> None:
    """Check e-mail addresses. Needs no settings and asks no network.

    \b
    Example:
      rgz-email addresses check < addresses.txt
    """


@addresses.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def check(as_json: bool) -> None:
    """Say of each address on standard input, one a line, whether it would be taken, and how it is normalised.

    Only LF ends a line; an empty line is an empty address. Bytes that are not UTF-8 are refused, not replaced. Exits
    with 0, whatever the addresses are.

    \b
    Example:
      rgz-email addresses check --json < addresses.txt
    """
    lines = sys.stdin.buffer.read().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    results = [_checked(line) for line in lines]
    if as_json:
        click.echo(json.dumps({"results": results}))
    else:
        for one in results:
            click.echo(f"{'ok' if one['ok'] else 'refused'}  {one['address']!r}  {one['normalised'] or one['reason']}")


def _checked(line: bytes) -> _Checked:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        shown = line.decode("utf-8", "backslashreplace")
        return {"address": shown, "ok": False, "normalised": None, "reason": "This is not UTF-8."}
    try:
        return {"address": text, "ok": True, "normalised": parse(text).normalised, "reason": None}
    except AddressInvalid as error:
        return {"address": text, "ok": False, "normalised": None, "reason": str(error)}
