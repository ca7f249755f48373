"""Read the settings of a command from its environment."""

import os
import sys
from pathlib import Path

import structlog

from service.config import environment, logs
from service.config.settings import Settings
from service.config.template_project import find_project

_USUAL = "email_templates"


def read_settings() -> Settings:
    """Read the settings from the environment and set up logging. Raises ConfigurationError."""
    read = environment.load(os.environ)
    logs.configure(read.email_log_level, for_people=sys.stderr.isatty())
    log = structlog.get_logger("settings")
    for warning in environment.misspelt(os.environ) + environment.weaknesses(read):
        log.warning(warning)
    return read


def template_settings(directory: Path | None) -> Settings:
    """Read the settings; the template directory is that of a command line, the environment or the project.

    It is the first of `directory`, EMAIL_TEMPLATES_DIR, what the `rgz-email.toml` of the working directory names, and
    the folder `email_templates` in it, which a program that runs from a checkout would not take otherwise.
    Raises ConfigurationError, also where that file requires another version of this program.
    """
    read = environment.load(os.environ)
    if directory is None and not os.environ.get("EMAIL_TEMPLATES_DIR", "").strip():
        project = find_project(Path.cwd())
        if project is not None:
            project.check_requires()
            directory = project.templates
        elif (Path.cwd() / _USUAL).is_dir():
            directory = Path.cwd() / _USUAL
    return read.with_changes(email_templates_dir=directory) if directory else read
