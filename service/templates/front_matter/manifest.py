"""The front matter of a template, checked against its JSON Schema, becomes the manifest; mistakes have positions."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import jsonschema_rs

from service.mail import addresses
from service.models import DeliveryPolicy, Priority, Stream
from service.templates.findings import CompileAborted, FindingCollector, did_you_mean
from service.templates.front_matter.schema_errors import problems_of
from service.templates.front_matter.variables import variables_schema
from service.templates.front_matter.yaml_positions import Document, KeyPath, read_yaml
from service.templates.jinja.loader import front_matter_end
from service.templates.positions import Place, Source

_SCHEMA = json.loads(files("service.templates.front_matter").joinpath("front_matter.json").read_text("utf-8"))
#: The fields of the front matter.
FIELDS: tuple[str, ...] = tuple(_SCHEMA["properties"])
KNOWN_CATEGORIES = ("billing", "incident", "onboarding", "rma", "support", "sla")
#: The fields that are Jinja, which the file of another language may override.
JINJA_FIELDS = ("subject", "preheader", "from", "reply_to")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class AttachmentPolicy:
    """The attachments that a send may have. `types` are file name endings; () means all that the settings allow.

    `required` is True if at least one file is required, or the endings of which each is required.
    """

    allowed: bool = False
    types: tuple[str, ...] = ()
    required: bool | tuple[str, ...] = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The front matter as data. `schema` is the JSON Schema (2020-12) of all variables.

    `copies` are addresses to each of which every send of the template goes too.
    """

    subject: str
    description: str
    category: str
    stream: Stream
    version: int
    active: bool
    schema: Mapping[str, Any]
    attachments: AttachmentPolicy
    delivery: DeliveryPolicy
    preheader: str | None = None
    from_header: str | None = None
    reply_to: str | None = None
    copies: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The manifest as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """The manifest that `as_json` wrote."""
        attachments, delivery = data["attachments"], data["delivery"]
        required = attachments["required"]
        return cls(
            **{
                **data,
                "stream": Stream(data["stream"]),
                "attachments": AttachmentPolicy(
                    attachments["allowed"],
                    tuple(attachments["types"]),
                    required if isinstance(required, bool) else tuple(required),
                ),
                "copies": tuple(data.get("copies", ())),
                "delivery": DeliveryPolicy(**{**delivery, "priority": Priority(delivery["priority"])}),
            }
        )


@dataclass(frozen=True)
class FrontMatter:
    """The manifest, the texts with Jinja and their positions, and the examples in the front matter."""

    manifest: Manifest
    texts: Mapping[str, Source]
    examples: Mapping[str, Mapping[str, Any]]
    document: Document


def split_front_matter(source: Source, collector: FindingCollector) -> tuple[str, Place]:
    """The YAML between the two lines `---`, and where it begins.

    Raises CompileAborted if there is none, or it is never closed; reported.
    """
    start = source.place(0)
    end = front_matter_end(source.text)
    if end is None:
        collector.error(
            start, "no-front-matter", "the template has no front matter", 'begin with a line "---", then subject: …'
        )
        raise CompileAborted
    if end < 0:
        collector.error(start, "no-front-matter", "the front matter is never closed", 'close it with a line "---"')
        raise CompileAborted
    return source.text[4 : source.text.rindex("---", 0, end)], Place(source.path, 2, 1)


def read_front_matter(source: Source, collector: FindingCollector) -> FrontMatter:
    """Read and check the front matter. Raises CompileAborted for mistakes, which are all reported."""
    text, place = split_front_matter(source, collector)
    document = read_yaml(text, source.path, collector, first_line=place.line)
    if not isinstance(document.data, dict):
        collector.error(place, "bad-front-matter", "the front matter must be a mapping", "write subject: …")
        raise CompileAborted
    wrong = _check(document, collector, _SCHEMA)
    schema = variables_schema(document, collector)
    if wrong:
        raise CompileAborted
    data = document.data
    if data["category"] not in KNOWN_CATEGORIES and (hint := did_you_mean(data["category"], KNOWN_CATEGORIES)):
        collector.warning(
            document.place(("category",)), "unusual-category", f'unusual category "{data["category"]}"', hint
        )
    manifest = Manifest(
        subject=data["subject"],
        description=data["description"],
        category=data["category"],
        stream=Stream(data.get("stream", Stream.TRANSACTIONAL)),
        version=data["version"],
        active=data.get("active", True),
        schema=schema,
        attachments=_attachments(data.get("attachments"), document, collector),
        delivery=_delivery(data.get("delivery") or {}),
        preheader=data.get("preheader"),
        from_header=data.get("from"),
        reply_to=data.get("reply_to"),
        copies=_copies(data.get("copies") or (), document, collector),
    )
    return FrontMatter(manifest, _texts(document), data.get("examples") or {}, document)


def read_overrides(source: Source, collector: FindingCollector) -> Mapping[str, Source]:
    """The Jinja fields in the file of another language; {} without front matter.

    Raises CompileAborted for other fields; reported.
    """
    if front_matter_end(source.text) is None:
        return {}
    text, place = split_front_matter(source, collector)
    document = read_yaml(text, source.path, collector, first_line=place.line)
    properties = {name: _SCHEMA["properties"][name] for name in JINJA_FIELDS}
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if document.data is not None and _check(document, collector, schema):
        raise CompileAborted
    return _texts(document)


def _check(document: Document, collector: FindingCollector, schema: Mapping[str, Any]) -> bool:
    validator = jsonschema_rs.Draft202012Validator(dict(schema))
    wrong = False
    for path, problem in problems_of(validator.iter_errors(document.data), schema, unknown="field"):
        wrong = True
        message, _, hint = problem.message.partition("; ")
        collector.error(
            _place(document, path, problem.code), "bad-front-matter", message, hint or _hint(path, problem.code)
        )
    return wrong


def _place(document: Document, path: KeyPath, code: str) -> Place:
    return document.key_place(path) if code == "unknown" else document.place(path)


def _hint(path: KeyPath, code: str) -> str:
    if path[-1:] == ("expires_after",):
        return "write seconds, or 30m, 24h, 7d"
    if path[:1] == ("category",):
        return "one word in lower case, such as " + ", ".join(KNOWN_CATEGORIES)
    return f"add {path[-1]}: …" if code == "required" else ""


def _texts(document: Document) -> dict[str, Source]:
    return {name: document.sources[(name,)] for name in JINJA_FIELDS if (name,) in document.sources}


def _attachments(declared: Any, document: Document, collector: FindingCollector) -> AttachmentPolicy:
    if not declared:
        return AttachmentPolicy()
    required = declared.get("required", False)
    allowed = declared.get("allowed", True)
    types = tuple(declared.get("types", ()))
    if required and not allowed:
        collector.error(
            document.place(("attachments", "required")),
            "bad-front-matter",
            "attachments are required, but not allowed",
            "write allowed: true",
        )
    if isinstance(required, list) and types and (other := [one for one in required if one not in types]):
        collector.error(
            document.place(("attachments", "required")),
            "bad-front-matter",
            f"{', '.join(other)} is required, but not in types",
            "add it to types",
        )
    return AttachmentPolicy(allowed, types, required if isinstance(required, bool) else tuple(required))


def _copies(declared: Sequence[str], document: Document, collector: FindingCollector) -> tuple[str, ...]:
    """The addresses of `copies`, each once; wrong ones are reported."""
    found: dict[str, str] = {}
    for index, written in enumerate(declared):
        try:
            address = addresses.parse(written)
        except addresses.AddressInvalid as error:
            place = document.place(("copies", index))
            collector.error(place, "bad-front-matter", f"{written!r} is no address: {error}", "write name@example.com")
        else:
            found.setdefault(address.normalised, address.spelling)
    return tuple(found.values())


def _delivery(declared: Mapping[str, Any]) -> DeliveryPolicy:
    expires = declared.get("expires_after")
    if isinstance(expires, str) and (found := re.fullmatch(r"(\d+)([smhd])", expires)):
        expires = int(found[1]) * _SECONDS[found[2]]
    return DeliveryPolicy(
        priority=Priority(declared.get("priority", Priority.NORMAL)),
        attempts=declared.get("attempts"),
        sla_s=declared.get("sla_seconds"),
        expires_after_s=expires,
    )
