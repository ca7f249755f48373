"""Services that a bench builds: settings with a database of their own, the mail for one port of this machine."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benches.invoice import MAILS
from service.bootstrap import Services, build
from service.config import environment

ADMIN_TOKEN = secrets.token_hex(16)
SENDER = "noreply@example.com"
#: For a service that delivers nothing: no relay listens there.
NO_RELAY_PORT = 1


def service_environment(directory: Path, relay_port: int, templates_dir: Path = MAILS) -> dict[str, str]:
    """Environment variables of a service whose state is in `directory` and whose relay is a port of this machine."""
    return {
        "EMAIL_DATA_DIR": str(directory / "state"),
        "EMAIL_TEMPLATES_DIR": str(templates_dir),
        "EMAIL_ADMIN_TOKEN": ADMIN_TOKEN,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(relay_port),
        "SMTP_TLS": "none",
        "SMTP_FROM_EMAIL": SENDER,
    }


@contextmanager
def built_services(variables: Mapping[str, str], *, mailbox_port: int | None = 0) -> Iterator[Services]:
    """Services in this process, with the settings of these environment variables."""
    services = build(environment.load(variables), mailbox_port=mailbox_port)
    try:
        yield services
    finally:
        services.close()


@contextmanager
def temporary_services(relay_port: int) -> Iterator[Services]:
    """Services with an empty database, removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="rgz-bench-") as directory,
        built_services(service_environment(Path(directory), relay_port)) as services,
    ):
        yield services
