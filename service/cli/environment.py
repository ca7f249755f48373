"""Read the settings of a command from its environment."""

import os
import sys
from pathlib import Path

import structlog

from service.config import environment, logs
from service.config.settings import Settings


def read_settings() -> Settings:
    """Read the settings from the environment and set up logging. Raises ConfigurationError."""
    read = environment.load(os.environ)
    logs.configure(read.email_log_level, for_people=sys.stderr.isatty())
    log = structlog.get_logger("settings")
    for warning in environment.misspelt(os.environ) + environment.weaknesses(read):
        log.warning(warning)
    return read


def template_settings(directory: Path | None) -> Settings:
    """Read the settings, with `directory` as template directory if it is given. Raises ConfigurationError."""
    read = environment.load(os.environ)
    return read.with_changes(email_templates_dir=directory) if directory else read
