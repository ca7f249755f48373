"""The navigation in the head of each page; a new section adds a line here."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.models import Caller, Scope

#: URL and key of the label, in the order shown.
SECTIONS = (
    ("/admin", "nav.overview"),
    ("/admin/messages", "nav.messages"),
    ("/admin/suppressions", "nav.suppressions"),
    ("/admin/templates", "nav.templates"),
    ("/admin/deployments", "nav.deployments"),
    ("/admin/mailbox", "nav.mailbox"),
    ("/admin/actions", "nav.actions"),
    ("/docs", "nav.api"),
)
#: What a key sees that may deploy and nothing else.
_FOR_DEPLOY = ("/admin/deployments", "/docs")
#: Pages that another section leads to.
_BELOW = {"/admin/previews": "/admin/deployments"}


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation; `current` if it is the open page or one above it."""

    url: str
    label_key: str
    current: bool


def sections(shown: Sequence[tuple[str, str]], path: str, caller: Caller | None) -> Sequence[Section]:
    """Return the entries of this application that the caller may see, a part of SECTIONS; the current one is marked."""
    for place, section in _BELOW.items():
        if path == place or path.startswith(f"{place}/"):
            path = section
    is_limited = caller is not None and not caller.may(Scope.ADMIN)
    return [
        Section(url, label_key, path == url or (url != "/admin" and path.startswith(f"{url}/")))
        for url, label_key in shown
        if not is_limited or url in _FOR_DEPLOY
    ]
