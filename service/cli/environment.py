"""What a command takes from the environment."""

import os
import sys
from pathlib import Path

import structlog

from service.config import environment, logs
from service.config.settings import Settings


def read_settings() -> Settings:
    """The settings of this process's environment, with logging set up. Raises ConfigurationError."""
    read = environment.load(os.environ)
    logs.configure(read.email_log_level, for_people=sys.stderr.isatty())
    log = structlog.get_logger("settings")
    for warning in environment.misspelt(os.environ) + environment.weaknesses(read):
        log.warning(warning)
    return read


def template_settings(directory: Path | None) -> Settings:
    """The settings of the environment, with another template directory if one is named. Raises ConfigurationError."""
    read = environment.load(os.environ)
    return read.with_changes(email_templates_dir=directory) if directory else read
