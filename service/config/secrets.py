"""Settings -> what lies outside of the process: the directory of its state, its secrets, and the servers it talks to.

Stands between the rooms and the verbs; `services.build` alone asks it.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from service.config.settings import Settings
from service.delivery.relay import Server
from service.errors import ConfigurationError
from service.feedback.imap import ImapAccount
from service.feedback.sns.client import SnsClient


def data_directory(settings: Settings) -> Path:
    """EMAIL_DATA_DIR, made where it is missing. Raises ConfigurationError where it can't be."""
    try:
        settings.email_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = f"EMAIL_DATA_DIR: {settings.email_data_dir} can't be made ({error.strerror}); name a directory of yours"
        raise ConfigurationError([hint]) from error
    return settings.email_data_dir.resolve()


def secret(given: SecretStr | None, file: Path) -> str:
    """The secret of the settings, or what this file holds; made at the first start, readable by us alone.

    Several processes may start at once: the file appears whole, and the first one wins.
    """
    if given is not None:
        return given.get_secret_value()
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)
        Path(draft).unlink()
    return file.read_text().strip()


def smtp_server(settings: Settings) -> Server:
    """The next hop of all mail."""
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return Server(
        host=settings.smtp_host or "localhost",
        port=settings.smtp_port,
        tls_mode=settings.tls_mode,
        user=settings.smtp_user,
        password=password,
        ca_file=settings.smtp_ca_file,
        timeout_s=settings.smtp_timeout_seconds,
        max_connections=settings.smtp_max_connections,
    )


def sns_client(settings: Settings) -> SnsClient:
    """Raises ConfigurationError where the additional authority can't be read."""
    line = SnsClient(settings.email_sns_cert_ca_file, settings.sns_address)
    if line.ca_file is not None:
        _ = line.context
    return line


def imap_account(settings: Settings) -> ImapAccount | None:
    """The mailbox of returned mail; None where none is read."""
    if settings.email_inbox_host is None:
        return None
    password = settings.email_inbox_password.get_secret_value() if settings.email_inbox_password else ""
    return ImapAccount(
        host=settings.email_inbox_host,
        port=settings.email_inbox_port,
        user=settings.email_inbox_user or "",
        password=password,
        tls=settings.email_inbox_tls,
        folder=settings.email_inbox_folder,
        ca_file=settings.email_inbox_ca_file,
        timeout_s=settings.email_inbox_timeout_seconds,
    )
