"""VERB: the catalogue -> what can be said of its templates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import NotFound
from service.templates.catalogue import Catalogue, Entry


@dataclass(frozen=True, slots=True)
class Browser:
    """Describes templates as plain values, ready for JSON."""

    catalogue: Catalogue

    def summaries(self) -> list[Mapping[str, Any]]:
        """Every template, by key; a broken one too, with what is known of its last good revision."""
        entries = self.catalogue.current.entries
        return [_summary(entries[key]) for key in sorted(entries)]

    def show(self, key: str) -> Mapping[str, Any]:
        """One template whole, its variables as JSON Schema. Raises NotFound."""
        entry = self.catalogue.current.entries.get(key)
        if entry is None:
            raise NotFound(f"There is no template {key!r}.")
        return _detail(entry)


def _summary(entry: Entry) -> dict[str, Any]:
    broken = any(finding.severity == "error" for finding in entry.findings)
    common = {"key": entry.key, "broken": broken, "findings": len(entry.findings)}
    if entry.template is None:
        return common | {"subject": None, "category": None, "version": None, "active": False, "revision": None}
    manifest = entry.template.manifest
    return common | {
        "subject": manifest.subject,
        "description": manifest.description,
        "category": manifest.category,
        "stream": manifest.stream,
        "version": manifest.version,
        "active": manifest.active,
        "revision": entry.template.revision,
    }


def _detail(entry: Entry) -> dict[str, Any]:
    detail = _summary(entry) | {"findings": [asdict(finding) for finding in entry.findings]}
    if entry.template is None:
        return detail
    template, manifest = entry.template, entry.template.manifest
    return detail | {
        "commit": template.commit,
        "dirty": template.dirty,
        "locales": template.locales,
        "variables": manifest.schema,
        "required_variables": manifest.schema.get("required", []),
        "attachments": {
            "allowed": manifest.attachments.allowed,
            "types": manifest.attachments.types,
            "required": manifest.attachments.required,
        },
        "delivery": {
            "priority": manifest.delivery.priority,
            "attempts": manifest.delivery.attempts,
            "sla_seconds": manifest.delivery.sla_s,
            "expires_after_seconds": manifest.delivery.expires_after_s,
        },
        "from": manifest.from_header,
        "reply_to": manifest.reply_to,
        "examples": template.examples,
        "source": template.source,
    }
