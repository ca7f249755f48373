"""sns: verify the signatures of Amazon SNS notifications offline; needs no settings and no data directory."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from service.feedback.webhook import verify_offline


@click.group()
def sns() -> None:
    """Check Amazon SNS notifications, as they were posted to /webhook.

    \b
    Example:
      rgz-email sns verify --help
    """


@sns.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--certificate",
    metavar="PEM",
    required=True,
    type=click.Path(path_type=Path),
    help="The certificate that SNS signs with.",
)
@click.option(
    "--at",
    "at_text",
    metavar="ISO8601",
    help="When the certificate must be valid.",
    show_default="the notification's Timestamp",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(files: tuple[Path, ...], certificate: Path, at_text: str | None, as_json: bool) -> None:
    """Verify notifications against a certificate: signature, certificate URL and owner.

    The exit code is 0 if all are verified, else 1. The topic and the age of a notification are not checked.

    \b
    Example:
      rgz-email sns verify notification.json --certificate SimpleNotificationService.pem
    """
    at = _time(at_text) if at_text is not None else None
    results = [{"file": str(file), **_verified(file, certificate, at)} for file in files]
    if as_json:
        click.echo(json.dumps({"results": results}, ensure_ascii=False))
    else:
        for one in results:
            click.echo(f"{one['file']}: {'verified' if one['ok'] else one['reason']}")
    raise SystemExit(0 if all(one["ok"] for one in results) else 1)


def _verified(file: Path, certificate: Path, at: datetime | None) -> dict[str, object]:
    read = []
    for one in (certificate, file):
        try:
            read.append(one.read_bytes())
        except (OSError, ValueError) as error:
            return {"ok": False, "reason": f"{one} can't be read: {getattr(error, 'strerror', None) or error}."}
    pem, body = read
    reason = verify_offline(body, pem, at=at)
    return {"ok": reason is None, "reason": reason}


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(f"--at: {text!r} is not an ISO 8601 time, such as 2026-02-21T14:30:00Z") from None
