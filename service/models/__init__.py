"""Data that all packages share: sends, messages, events, requests, statuses and their transition table.

Nothing here reads a file, a clock or a database. All of it is frozen: a change is a copy. Times are aware UTC, sizes
are bytes.
"""

from service.models.admin_action import REFUSALS, ActionKind, AdminAction
from service.models.caller import OPERATOR, Caller, Scope
from service.models.deployment import (
    Change,
    Commit,
    DeployedSnapshots,
    Deployment,
    DeploymentItem,
    DeploymentState,
    Hold,
    ServiceProcess,
    SourceStatus,
    Suspension,
    Trigger,
)
from service.models.message import (
    REVISION_DIGITS,
    Attachment,
    AttachmentInfo,
    Body,
    Claimed,
    DeliveryPolicy,
    Event,
    Message,
    NewMessage,
    Origin,
    Outgoing,
    Rendered,
    Send,
)
from service.models.preview import ContractLine, Preview, PreviewItem, PreviewRef
from service.models.status import TRANSITIONS, EventType, Priority, Role, Status, Stream, WaitingFor

__all__ = [
    "OPERATOR",
    "REFUSALS",
    "REVISION_DIGITS",
    "TRANSITIONS",
    "ActionKind",
    "AdminAction",
    "Attachment",
    "AttachmentInfo",
    "Body",
    "Caller",
    "Change",
    "Claimed",
    "Commit",
    "ContractLine",
    "DeliveryPolicy",
    "DeployedSnapshots",
    "Deployment",
    "DeploymentItem",
    "DeploymentState",
    "Event",
    "EventType",
    "Hold",
    "Message",
    "NewMessage",
    "Origin",
    "Outgoing",
    "Preview",
    "PreviewItem",
    "PreviewRef",
    "Priority",
    "Rendered",
    "Role",
    "Scope",
    "Send",
    "ServiceProcess",
    "SourceStatus",
    "Status",
    "Stream",
    "Suspension",
    "Trigger",
    "WaitingFor",
]
