"""Rendering a template with a request's variables: errors become problems with JSON pointers.

Sends and previews share it, so that a preview reports what a send would report.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.config.settings import Settings
from service.errors import InvalidRequest, Problem, RenderError, pointer
from service.models import Rendered
from service.models.requests import to_json
from service.templates.template import Template


def render(template: Template, variables: Mapping[str, Any], locale: str | None) -> Rendered:
    """Render a template. Raises InvalidRequest, with a JSON pointer into the request, where the values don't render."""
    try:
        return template.render(variables, locale=locale)
    except RenderError as error:
        place = pointer("variables", error.variable) if error.variable else "/variables"
        problem = Problem(place, error.finding.code, str(error.finding))
        raise InvalidRequest("The template can't be rendered with these variables.", [problem]) from error


def check_variables(template: Template, variables: Mapping[str, Any], settings: Settings) -> list[Problem]:
    """Validate variables against the template's schema and EMAIL_MAX_VARIABLES_BYTES; [] where all is well."""
    if len(to_json(variables)) > settings.email_max_variables_bytes:
        return [Problem("/variables", "too_large", f"more than {settings.email_max_variables_bytes} bytes as JSON")]
    return [replace(item, pointer="/variables" + item.pointer) for item in template.problems(variables)]
