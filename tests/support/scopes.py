"""The scope that each operation of the API needs."""

from service.models import Scope

SCOPES = {
    ("POST", "/send"): Scope.SEND,
    ("POST", "/send/batch"): Scope.SEND,
    ("GET", "/templates"): Scope.READ,
    ("GET", "/templates/{key}"): Scope.READ,
    ("PUT", "/templates/{key}"): Scope.ADMIN,
    ("DELETE", "/templates/{key}"): Scope.ADMIN,
    ("GET", "/templates/{key}/versions"): Scope.READ,
    ("GET", "/templates/{key}/versions/{number}"): Scope.READ,
    ("POST", "/templates/{key}/test"): Scope.ADMIN,
    ("GET", "/messages"): Scope.ADMIN,
    ("GET", "/messages/{message_id}"): Scope.SEND,
    ("GET", "/messages/{message_id}/html"): Scope.ADMIN,
    ("GET", "/messages/{message_id}/text"): Scope.ADMIN,
    ("GET", "/messages/{message_id}/raw"): Scope.ADMIN,
    ("GET", "/messages/{message_id}/attachments/{n}"): Scope.ADMIN,
    ("POST", "/messages/{message_id}/resend"): Scope.ADMIN,
    ("POST", "/messages/{message_id}/cancel"): Scope.ADMIN,
    ("GET", "/recipients/{address}"): Scope.ADMIN,
    ("POST", "/recipients/{address}/erase"): Scope.ADMIN,
    ("GET", "/admin-actions"): Scope.ADMIN,
    ("GET", "/suppressions"): Scope.ADMIN,
    ("POST", "/suppressions"): Scope.ADMIN,
    ("GET", "/suppressions/{suppression_id}"): Scope.ADMIN,
    ("DELETE", "/suppressions/{suppression_id}"): Scope.ADMIN,
}
