"""Read the settings from the environment, once and with every mistake at once, and warn about odd ones."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from service.config import secret_files
from service.config.settings import SECRETS, Settings
from service.config.weak_secrets import weakness
from service.errors import ConfigurationError


def load(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment, and of the files that NAME_FILE names; an empty variable counts as absent.

    Raises ConfigurationError with one sentence for each mistake, a hint in each.
    """
    names = {name.upper(): name for name in Settings.model_fields}
    given = {names[key]: value for key, value in environment.items() if key in names and value.strip()}
    from_files, problems = secret_files.read(environment)
    try:
        settings = Settings.model_validate(given | from_files)
    except ValidationError as error:
        raise ConfigurationError([*problems, *map(_sentence, error.errors(include_input=False))]) from None
    if problems:
        raise ConfigurationError(problems)
    return settings


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """Warnings for unknown variables that resemble a setting, each with the likely name."""
    names = [name.upper() for name in Settings.model_fields] + [secret_files.variable_of(name) for name in SECRETS]
    warnings = []
    for key in sorted(environment):
        if key.startswith(("EMAIL_", "SMTP_")) and key not in names:
            near = difflib.get_close_matches(key, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"{key} is not a setting{hint}")
    return warnings


def weaknesses(settings: Settings) -> list[str]:
    """Warnings for settings that work but are unsafe or inconsistent."""
    warnings = []
    for name in ("email_admin_token", "email_secret_key"):
        secret: SecretStr | None = getattr(settings, name)
        if secret is not None and (reason := weakness(secret.get_secret_value())):
            warnings.append(f"{name.upper()} {reason} and can be guessed; with SMTP_HOST it is refused")
    if settings.smtp_host is not None and settings.tls_mode == "none":
        warnings.append("SMTP is not encrypted: mail and password can be read on the way")
    if settings.smtp_host is not None and not settings.email_public_url.startswith("https://"):
        # RFC 8058, 3.1: one click needs an HTTPS link.
        warnings.append("EMAIL_PUBLIC_URL is not https: mail programs offer no one-click unsubscribing of marketing")
    if settings.smtp_host is not None and settings.email_anonymous_scopes and settings.email_local_socket is None:
        warnings.append(
            "EMAIL_ANONYMOUS_SCOPES counts nowhere: with SMTP_HOST only at EMAIL_LOCAL_SOCKET, which is not set"
        )
    if settings.email_inbox_host is not None and settings.email_inbox_tls == "none":
        warnings.append("The line to the IMAP server is not encrypted: mail and password can be read on the way")
    return warnings


def _sentence(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:  # settings that contradict each other
        return message
    name = str(problem["loc"][0]).upper()
    return f"{name}: {message[:1].lower()}{message[1:]} ({Settings.model_fields[name.lower()].description})"
