"""TLS contexts: the system's certificate authorities, and an additional one where a setting names it."""

import ssl
from pathlib import Path

from service.errors import ConfigurationError


def verifying_context(ca_file: Path | None, *, setting: str) -> ssl.SSLContext:
    """A client context that verifies chain and host name, with the PEM file of an additional authority.

    Raises ConfigurationError, with the name of `setting`, where that file can't be read.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            sentence = f"{setting}: {ca_file} can't be read as PEM certificates ({error.strerror or error})"
            raise ConfigurationError([sentence]) from error
    return context
