"""What the head of each page leads to. A new page with a place of its own adds a line here."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.bootstrap import PreviewServices, Services

#: Address and the key of its word, in the order in which they stand.
_SECTIONS = (
    ("/admin", "nav.overview"),
    ("/admin/messages", "nav.messages"),
    ("/admin/suppressions", "nav.suppressions"),
    ("/admin/templates", "nav.templates"),
    ("/admin/mailbox", "nav.mailbox"),
    ("/docs", "nav.api"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry; `current` is the page itself, or one below it."""

    url: str
    word: str
    current: bool


def sections(workbench: PreviewServices, path: str) -> Sequence[Section]:
    """All entries for this service; the mailbox is only where there is one, and a preview has templates alone."""
    return [
        Section(url, word, path == url or (url != "/admin" and path.startswith(f"{url}/")))
        for url, word in _SECTIONS
        if _is_there(url, workbench)
    ]


def _is_there(url: str, workbench: PreviewServices) -> bool:
    if not isinstance(workbench, Services):
        return url == "/admin/templates"
    return url != "/admin/mailbox" or workbench.mailbox is not None
