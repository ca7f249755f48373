"""Admin actions and refusals: the rows of admin_actions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ActionKind(StrEnum):
    """What was done, or refused."""

    SIGN_IN = "sign_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGN_OUT = "sign_out"
    SESSION_ENDED = "session_ended"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    KEY_REFUSED = "key_refused"
    SCOPE_REFUSED = "scope_refused"
    PERSON_SHOWN = "person_shown"
    PERSON_EXPORTED = "person_exported"
    PERSON_ERASED = "person_erased"
    SUPPRESSION_LIFTED = "suppression_lifted"
    TEMPLATE_PUBLISHED = "template_published"
    TEMPLATE_DELETED = "template_deleted"
    TEMPLATE_HELD = "template_held"
    TEMPLATE_HOLD_LIFTED = "template_hold_lifted"
    DEPLOYMENT_REQUESTED = "deployment_requested"
    DEPLOYMENT_ACTIVATED = "deployment_activated"
    DEPLOYMENT_ROLLED_BACK = "deployment_rolled_back"
    PREVIEW_LINKED = "preview_linked"
    SYNC_SUSPENDED = "sync_suspended"
    SYNC_RESUMED = "sync_resumed"
    SECRET_KEY_CHANGED = "secret_key_changed"  # noqa: S105  # a name


#: What strangers can cause: counted, so that they can't fill the table.
REFUSALS = frozenset({ActionKind.SIGN_IN_REFUSED, ActionKind.KEY_REFUSED, ActionKind.SCOPE_REFUSED})


@dataclass(frozen=True, slots=True)
class AdminAction:
    """One action, or `count` refusals of one kind; `created_at` is the first.

    `subject` is the id or key of what it was done to, `recipient_hash` the pseudonym of the person, `client` that of
    the client's address. `actor_id` is None for a stranger.
    """

    id: str
    created_at: datetime
    kind: ActionKind
    via: str
    actor_id: str | None = None
    actor_name: str | None = None
    subject: str | None = None
    recipient_hash: str | None = None
    client: str | None = None
    detail: str | None = None
    count: int = 1
