"""The data directory and the secrets of the settings, created at the first start where they are missing."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from service.config.file_lock import FileLock
from service.config.private_files import make_private
from service.config.secret_key import SecretKey, secret_key
from service.config.settings import Settings
from service.errors import ConfigurationError

_SECRET_KEY_FILE = "secret-key"  # noqa: S105  # a name


def data_directory(settings: Settings) -> Path:
    """EMAIL_DATA_DIR as an absolute path, created where it is missing, it and our files in it for our user alone.

    Raises ConfigurationError where it can't be made.
    """
    try:
        settings.email_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = f"EMAIL_DATA_DIR: {settings.email_data_dir} can't be made ({error.strerror}); name a directory of yours"
        raise ConfigurationError([hint]) from error
    directory = settings.email_data_dir.resolve()
    make_private(directory)
    return directory


def secret(given: SecretStr | None, file: Path) -> str:
    """The secret of the settings, else of this file, which is created with a random one, readable by its owner alone.

    Several processes may start at once: the file appears whole, and the first one wins.
    """
    if given is not None:
        return given.get_secret_value()
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(new_secret() + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)
        Path(draft).unlink()
    return file.read_text().strip()


def read_secret_key(settings: Settings, data: Path) -> SecretKey:
    """The secret key: EMAIL_SECRET_KEY, else the lines of `secret-key`, and EMAIL_SECRET_KEY_PREVIOUS; newest first.

    Raises ConfigurationError for an empty file.
    """
    given, previous = settings.email_secret_key, settings.email_secret_key_previous
    if given is not None:
        text = given.get_secret_value()
        lines = _parts(text)
        texts = lines if len(lines) > 1 else [text]  # one alone as v0.1 took it, with whatever is around it
    else:
        texts = [line.strip() for line in _parts(secret(None, data / _SECRET_KEY_FILE))]
    if not texts:
        raise ConfigurationError([f"EMAIL_SECRET_KEY: {data / _SECRET_KEY_FILE} is empty; restore it from a backup"])
    if previous is not None:
        text = previous.get_secret_value()
        if "\n" in text:
            texts += _parts(text)
        else:
            # The whole is accepted too: it may be one key that has a comma in it.
            texts += [*(part.strip() for part in text.split(",") if part.strip()), text]
    return secret_key(texts)


def rotate_secret_key_file(data: Path) -> Path:
    """Put a new version of the secret key above those in `secret-key`; returns the file. Raises TryLater."""
    file = data / _SECRET_KEY_FILE
    with FileLock(file.with_suffix(".lock"), changing="the secret key").acquire():
        older = secret(None, file)
        descriptor, draft = tempfile.mkstemp(dir=data)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(f"{new_secret()}\n{older}\n")
            opened.flush()
            os.fsync(descriptor)  # what it signs must not outlive it
        Path(draft).replace(file)
        _sync(data)
    return file


def previous_of(settings: Settings) -> str:
    """What EMAIL_SECRET_KEY_PREVIOUS is to be once EMAIL_SECRET_KEY has a new version."""
    newest, older = (
        one.get_secret_value() if one is not None else ""
        for one in (settings.email_secret_key, settings.email_secret_key_previous)
    )
    if "," not in newest and "\n" not in newest + older:
        return ",".join(filter(None, (newest, older)))
    return "\n".join(filter(None, (newest, older if "\n" in older else older.replace(",", "\n"))))


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def _parts(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
