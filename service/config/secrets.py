"""The data directory and the secrets of the settings, created at the first start where they are missing."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from service.config.settings import Settings
from service.errors import ConfigurationError


def data_directory(settings: Settings) -> Path:
    """EMAIL_DATA_DIR as an absolute path, created where it is missing. Raises ConfigurationError where it can't be."""
    try:
        settings.email_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = f"EMAIL_DATA_DIR: {settings.email_data_dir} can't be made ({error.strerror}); name a directory of yours"
        raise ConfigurationError([hint]) from error
    return settings.email_data_dir.resolve()


def secret(given: SecretStr | None, file: Path) -> str:
    """The secret of the settings, else of this file, which is created with a random one, readable by its owner alone.

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
