"""Check what a mail says against what `examples/NAME.expect.yaml` expects of it."""

from collections.abc import Iterator, Sequence

from service.errors import Finding
from service.models import Rendered
from service.templates.findings import did_you_mean
from service.templates.front_matter.expectations import Expected
from service.templates.mails import Mail
from service.templates.snapshots.visible_text import links_of, visible_words, words_of


def unmet(expected: Sequence[Expected], mail: Mail, rendered: Rendered) -> list[Finding]:
    """A finding, at its line, for each expectation that a mail does not meet."""
    wanted = [one for one in expected if one.locale in (None, mail.locale)]
    if not wanted:
        return []
    places = {
        "the subject": words_of(rendered.subject),
        "the text part": words_of(rendered.text),
        "the HTML part": visible_words(rendered.html),
    }
    links = links_of(rendered.html)
    return [
        _finding(one, f"{mail.name} {message}", hint)
        for one in wanted
        for message, hint in (_link_problem(one.text, links) if one.kind == "links" else _word_problem(one, places))
    ]


def _word_problem(one: Expected, places: dict[str, str]) -> Iterator[tuple[str, str]]:
    words = words_of(one.text)
    found = [place for place, text in places.items() if words in text]
    if one.kind == "absent":
        if found:
            yield f'says "{words}" in {" and ".join(found)}', "take it out, or out of this list"
        return
    bodies = [place for place in places if place != "the subject"]
    lacking = [place for place in bodies if place not in found]
    if not found:
        yield f'does not say "{words}"', "write it, or correct this list"
    elif lacking and len(lacking) < len(bodies):
        yield f'does not say "{words}" in {lacking[0]}', f"it is in {' and '.join(found)} alone"


def _link_problem(link: str, links: frozenset[str]) -> Iterator[tuple[str, str]]:
    if link not in links:
        yield f"has no link to {link}", did_you_mean(link, links) or "add it, or correct this list"


def _finding(one: Expected, message: str, hint: str) -> Finding:
    at = one.place
    return Finding(at.file, at.line, at.column, "error", "expectation-unmet", message, hint)
