"""Whom we trust when we speak TLS: the system's authorities, and one more where a setting names it."""

import ssl
from pathlib import Path

from service.errors import ConfigurationError


def verifying_context(ca_file: Path | None, *, setting: str) -> ssl.SSLContext:
    """Verifies name and chain, always. `setting` names the additional authority's file, PEM.

    Raises ConfigurationError where that can't be read.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            sentence = f"{setting}: {ca_file} can't be read as PEM certificates ({error.strerror or error})"
            raise ConfigurationError([sentence]) from error
    return context
