"""A template of a pull request before and after: both renderings with the same choice, for pages and frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.bootstrap import PreviewServices
from service.deployments.preview_reader import PreviewDetail, Sides, is_shown
from service.errors import InvalidRequest, NotFound, Problem
from service.models import PreviewItem
from service.templates.preview import Preview as RenderedPreview
from service.templates.template import Template
from service.web.pages.diff import Difference, between
from service.web.pages.template_page import Choice, fill
from service.web.pages.variable_form import PREFIX, Field

#: Width of the frames, beside each other.
WIDTHS = ("wide", "narrow")


@dataclass(frozen=True, slots=True)
class Side:
    """A template of one side with its rendering; `problems` say why there is none."""

    template: Template | None
    rendering: RenderedPreview | None
    problems: Sequence[Problem]
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Mails:
    """Both sides, the examples and languages of both, and the text line by line."""

    item: PreviewItem
    before: Side
    after: Side
    examples: Sequence[str]
    locales: Sequence[str]
    differences: Sequence[Difference]

    @property
    def shown(self) -> Side:
        """The side whose values the form has: after, unless that is gone."""
        return self.after if self.after.template is not None else self.before


def width_of(query: Mapping[str, str]) -> str:
    """The width that a query asks for."""
    return "narrow" if query.get("width") == "narrow" else "wide"


def item_of(detail: PreviewDetail, key: str | None) -> PreviewItem | None:
    """The template to look at: the one with this key, or the first, if possible one that has a mail."""
    chosen = next((one for one in detail.items if one.key == key), None)
    return chosen or next((one for one in detail.items if is_shown(one)), next(iter(detail.items), None))


def mails_of(services: PreviewServices, sides: Sides, choice: Choice) -> Mails:
    """Render both sides with the same choice, as far as each knows its example, language and variables."""
    before, after = (_side(services, one, choice) for one in (sides.before, sides.after))
    templates = [one for one in (sides.after, sides.before) if one is not None]
    old, new = ({"text": one.rendering.rendered.text} if one.rendering else {} for one in (before, after))
    return Mails(
        item=sides.item,
        before=before,
        after=after,
        examples=list(dict.fromkeys(name for one in templates for name in one.examples)),
        locales=list(dict.fromkeys(locale for one in templates for locale in one.locales)),
        differences=between(old, new) if old and new else [],
    )


def html_of(services: PreviewServices, template: Template | None, choice: Choice) -> str:
    """What one side prints; "" where it can't be rendered."""
    rendering = _side(services, template, choice).rendering
    return rendering.rendered.html if rendering is not None else ""


def _side(services: PreviewServices, template: Template | None, choice: Choice) -> Side:
    if template is None:
        return Side(None, None, (), ())
    try:
        filled = fill(services, template, _known(template, choice), ())
    except (InvalidRequest, NotFound) as error:
        return Side(template, None, error.problems, ())
    return Side(template, filled.preview, filled.problems, filled.fields)


def _known(template: Template, choice: Choice) -> Choice:
    """The choice without an example or values that this side does not have."""
    names: Mapping[str, Any] = template.manifest.schema["properties"]
    given = {name: value for name, value in choice.given.items() if name.removeprefix(PREFIX) in names}
    example = choice.example if choice.example in template.examples else None
    return replace(choice, example=example, given=given)
