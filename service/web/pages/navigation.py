"""The navigation in the head of each page; a new section adds a line here."""

from collections.abc import Sequence
from dataclasses import dataclass

#: URL and key of the label, in the order shown.
SECTIONS = (
    ("/admin", "nav.overview"),
    ("/admin/messages", "nav.messages"),
    ("/admin/suppressions", "nav.suppressions"),
    ("/admin/templates", "nav.templates"),
    ("/admin/mailbox", "nav.mailbox"),
    ("/admin/actions", "nav.actions"),
    ("/docs", "nav.api"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation; `current` if it is the open page or one above it."""

    url: str
    label_key: str
    current: bool


def sections(shown: Sequence[tuple[str, str]], path: str) -> Sequence[Section]:
    """Return the entries of this application, a part of SECTIONS, with the current one marked."""
    return [
        Section(url, label_key, path == url or (url != "/admin" and path.startswith(f"{url}/")))
        for url, label_key in shown
    ]
