"""The navigation in the head of each page; a new section adds a line here."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.bootstrap import PreviewServices, Services

#: URL and key of the label, in the order shown.
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
    """An entry of the navigation; `current` if it is the open page or one above it."""

    url: str
    label_key: str
    current: bool


def sections(workbench: PreviewServices, path: str) -> Sequence[Section]:
    """Return the entries for this service: the mailbox only if there is one, a preview only has templates."""
    return [
        Section(url, label_key, path == url or (url != "/admin" and path.startswith(f"{url}/")))
        for url, label_key in _SECTIONS
        if _is_there(url, workbench)
    ]


def _is_there(url: str, workbench: PreviewServices) -> bool:
    if not isinstance(workbench, Services):
        return url == "/admin/templates"
    return url != "/admin/mailbox" or workbench.mailbox is not None
