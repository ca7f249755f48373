"""Amazon SNS envelopes: parse one, and verify SNS's signature. Its Message is parsed in `ses_event`.

NotVerified says why an envelope is refused. Sources: "Verifying the signatures of Amazon SNS messages" and
"HTTP/HTTPS notification JSON format" of the Amazon SNS Developer Guide.
"""

import base64
import binascii
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from service.errors import InvalidRequest, MalformedRequest, NotVerified, Problem
from service.models import json_text

#: Signed fields of each type, in order; the signed text is `name\nvalue\n` for each field present.
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_OPTIONAL = "Subject"
_UNSIGNED = ("Signature", "SignatureVersion", "SigningCertURL")
#: The one field that may have more than one line. In any other a line break would move the borders between the fields
#: without a change of the signed text: a Subject could become part of a MessageId.
_OF_MANY_LINES = "Message"

_HASHES: Mapping[str, type[hashes.SHA1] | type[hashes.SHA256]] = {"1": hashes.SHA1, "2": hashes.SHA256}

#: SNS repeats an HTTP delivery for an hour at most ("total policy retry time", SNS Developer Guide: Message delivery
#: retries). A day leaves room for a queue of failed deliveries that are posted again; beyond that it is a replay.
MAX_AGE = timedelta(hours=24)
#: Allowed difference of clocks; SNS never dates a message ahead.
MAX_AHEAD = timedelta(minutes=15)

#: Name in SNS's signing certificates, in every region.
CERTIFICATE_NAME = "sns.amazonaws.com"


@dataclass(frozen=True, slots=True)
class SnsEnvelope:
    """A parsed, unverified envelope: every field is present and a text. `token` confirms a subscription."""

    type: str
    notification_id: str
    topic_arn: str
    message: str
    at: datetime
    signature_version: str
    signature: bytes
    certificate_url: str
    canonical: bytes
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signing certificate: its names (hosts or common name), validity and RSA key."""

    names: frozenset[str]
    valid_from: datetime
    valid_until: datetime
    key: rsa.RSAPublicKey | None


def read(body: bytes) -> SnsEnvelope:
    """Parse the envelope in a request's body.

    Raises MalformedRequest for a body that is not JSON, InvalidRequest for JSON that is no envelope (such as a raw
    delivery, which has no signature), NotVerified for an envelope with a missing or malformed field.
    """
    given = _decoded(body)
    kind = given.get("Type") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in _SIGNED:
        hint = "an SNS notification has a Type; raw message delivery must be off, as it has no signature"
        raise InvalidRequest("This is not a notification of Amazon SNS.", [Problem("/Type", "no_envelope", hint)])
    fields = {name: _text(given, name) for name in (*_SIGNED[kind], *_UNSIGNED)}
    return SnsEnvelope(
        type=kind,
        notification_id=fields["MessageId"] or "",
        topic_arn=fields["TopicArn"] or "",
        message=fields["Message"] or "",
        at=_time(fields["Timestamp"] or ""),
        signature_version=fields["SignatureVersion"] or "",
        signature=_signature(fields["Signature"] or ""),
        certificate_url=fields["SigningCertURL"] or "",
        canonical=_canonical(kind, fields),
        token=fields.get("Token"),
    )


def check_age(envelope: SnsEnvelope, *, now: datetime) -> None:
    """Raise NotVerified for an envelope that is older, or dated further ahead, than SNS ever delivers."""
    if envelope.at < now - MAX_AGE:
        raise NotVerified(f"Timestamp is older than {MAX_AGE.total_seconds() / 3600:.0f} hours.")
    if envelope.at > now + MAX_AHEAD:
        raise NotVerified(f"Timestamp is more than {MAX_AHEAD.total_seconds() / 60:.0f} minutes ahead.")


def verify(envelope: SnsEnvelope, certificate: Certificate, *, at: datetime | None = None) -> None:
    """Raise NotVerified unless the owner of this certificate signed this envelope.

    The certificate must have the name of SNS and be valid at `at` (the envelope's own time without it). Its issuer is
    not checked: it is trusted because of the TLS host that it was fetched from.
    """
    if CERTIFICATE_NAME not in certificate.names:
        raise NotVerified(f"The certificate is not that of {CERTIFICATE_NAME}.")
    moment = envelope.at if at is None else at
    if not certificate.valid_from <= moment <= certificate.valid_until:
        raise NotVerified("The certificate is not valid at the time of the message.")
    if certificate.key is None:
        raise NotVerified("The certificate has no RSA key.")
    algorithm = _HASHES.get(envelope.signature_version)
    if algorithm is None:
        raise NotVerified("SignatureVersion is neither 1 nor 2.")
    try:
        certificate.key.verify(envelope.signature, envelope.canonical, padding.PKCS1v15(), algorithm())
    except InvalidSignature:
        raise NotVerified("The signature does not match.") from None


def read_certificate(pem: bytes) -> Certificate:
    """Parse the first certificate of a PEM file. Raises ValueError."""
    found = x509.load_pem_x509_certificate(pem)
    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    return Certificate(
        names=frozenset(_names(found)),
        valid_from=found.not_valid_before_utc,
        valid_until=found.not_valid_after_utc,
        key=key if isinstance(key, rsa.RSAPublicKey) else None,
    )


def _decoded(body: bytes) -> Any:
    """Decode JSON; the standard library also accepts lone surrogates and huge numbers, which SNS may send."""
    value = _decoded_by_either(body)
    json_text.require_unique_names(body, value)
    return value


def _decoded_by_either(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise MalformedRequest("The body is not JSON.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON (RFC 8259, 6)")


def _text(given: Mapping[str, Any], name: str) -> str | None:
    """Return a field of an envelope; None only for a Subject that is absent or null."""
    value = given.get(name)
    if value is None and name == _OPTIONAL:
        return None
    if not isinstance(value, str):
        raise NotVerified(f"{name} is missing, or not a text.")
    if name != _OF_MANY_LINES and not value.isprintable() and any(map(_is_control, value)):
        raise NotVerified(f"{name} has a line break or a control character in it.")
    if not value and name not in (_OF_MANY_LINES, _OPTIONAL):
        raise NotVerified(f"{name} is empty.")
    return value


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _canonical(kind: str, fields: Mapping[str, str | None]) -> bytes:
    text = "".join(f"{name}\n{fields[name]}\n" for name in _SIGNED[kind] if fields[name] is not None)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotVerified("Message holds half of a character.") from None


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else _no_time()
    except (ValueError, OverflowError):
        return _no_time()


def _no_time() -> datetime:
    raise NotVerified("Timestamp is not an ISO 8601 time with its zone.")


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotVerified("Signature is not base64.") from None


def _names(certificate: x509.Certificate) -> set[str]:
    """Return the names of a certificate: host names or, in older ones, the common name."""
    names = {str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except (x509.ExtensionNotFound, ValueError):
        return names
    alternative = extension.value
    return names | (
        set(alternative.get_values_for_type(x509.DNSName))
        if isinstance(alternative, x509.SubjectAlternativeName)
        else set()
    )
