"""Previews of pull requests: rows, their compiled templates, and the refs that were seen."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from service.errors import Finding
from service.models import Change, Commit, ContractLine, Preview, PreviewItem, PreviewRef
from service.store.body_codec import compress, decompress, digest_of
from service.store.database import Reader, Transaction
from service.store.database.contract import Row

_COLUMNS = (
    "name, ref, git_commit, author, committed_at, first_line, seen_at, prepared_at, judged, deployment_id, reason,"
    " findings, site_values, site_examples, changed_count, findings_count, links"
)
_ITEM_COLUMNS = (
    "preview", "key", "change", "why", "revision", "version", "revision_before", "version_before", "contract",
    "findings", "sha256", "archive",
)  # fmt: skip


def refs(reader: Reader) -> dict[str, PreviewRef]:
    """The refs of the last look, by name."""
    rows = reader.read("SELECT ref, git_commit, first_seen_at, is_older, over FROM preview_refs")
    return {row["ref"]: PreviewRef(commit=row.pop("git_commit"), **row) for row in rows}


def save_refs(tx: Transaction, seen: Sequence[PreviewRef]) -> None:
    """Replace what is known of the refs, and delete the previews of those that have none any more."""
    tx.execute("DELETE FROM preview_refs")
    tx.insert(
        "preview_refs",
        ("ref", "git_commit", "first_seen_at", "is_older", "over"),
        [(one.ref, one.commit, one.first_seen_at, one.is_older, one.over) for one in seen],
    )
    tx.execute(
        "DELETE FROM previews WHERE NOT EXISTS"
        " (SELECT 1 FROM preview_refs WHERE preview_refs.ref = previews.ref AND over IS NULL)"
    )


def save(tx: Transaction, preview: Preview, items: Sequence[PreviewItem], archives: Mapping[str, bytes]) -> None:
    """Store a preview in place of an earlier one of its name; `archives` are its compiled templates, by key."""
    tx.execute("DELETE FROM previews WHERE name = :name", {"name": preview.name})
    commit = preview.commit
    tx.execute(
        f"INSERT INTO previews ({_COLUMNS}) VALUES (:name, :ref, :git_commit, :author, :committed_at, :first_line,"
        " :seen_at, :prepared_at, :judged, :deployment_id, :reason, :findings, :site_values, :site_examples,"
        " :changed_count, :findings_count, :links)",
        {
            "name": preview.name,
            "ref": preview.ref,
            "git_commit": commit.id,
            "author": commit.author,
            "committed_at": commit.committed_at,
            "first_line": commit.first_line,
            "seen_at": preview.seen_at,
            "prepared_at": preview.prepared_at,
            "judged": preview.judged,
            "deployment_id": preview.deployment_id,
            "reason": preview.reason,
            "findings": _written(preview.findings),
            "site_values": json.dumps(dict(preview.site_values), ensure_ascii=False),
            "site_examples": json.dumps(dict(preview.site_examples), ensure_ascii=False),
            "changed_count": preview.changed_count,
            "findings_count": preview.findings_count,
            "links": preview.links,
        },
    )
    tx.insert("preview_items", _ITEM_COLUMNS, [_item_row(preview.name, one, archives.get(one.key)) for one in items])


def get(reader: Reader, name: str) -> Preview | None:
    """A preview by its name; None where there is none."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM previews WHERE name = :name", {"name": name})
    return _preview(rows[0]) if rows else None


def all_of(reader: Reader) -> list[Preview]:
    """All previews; there are few."""
    return [_preview(row) for row in reader.read(f"SELECT {_COLUMNS} FROM previews")]


def names(reader: Reader) -> list[str]:
    """The names of all previews."""
    return [row["name"] for row in reader.read("SELECT name FROM previews ORDER BY name")]


def items(reader: Reader, name: str) -> list[PreviewItem]:
    """The templates that a preview changes, by key."""
    rows = reader.read(
        "SELECT key, change, why, revision, version, revision_before, version_before, contract, findings"
        " FROM preview_items WHERE preview = :name ORDER BY key",
        {"name": name},
    )
    return [_item(row) for row in rows]


def item(reader: Reader, name: str, key: str) -> PreviewItem | None:
    """A template that a preview changes; None where it is as it is served."""
    rows = reader.read(
        "SELECT key, change, why, revision, version, revision_before, version_before, contract, findings"
        " FROM preview_items WHERE preview = :name AND key = :key",
        {"name": name, "key": key},
    )
    return _item(rows[0]) if rows else None


def archive(reader: Reader, name: str, key: str, revision: str) -> bytes | None:
    """The compiled template of this revision; None where the preview has another one by now. Raises ArchiveCorrupt."""
    rows = reader.read(
        "SELECT sha256, archive FROM preview_items WHERE preview = :name AND key = :key AND revision = :revision",
        {"name": name, "key": key, "revision": revision},
    )
    return decompress(rows[0]["archive"], rows[0]["sha256"]) if rows and rows[0]["archive"] is not None else None


def forget_revisions(tx: Transaction, *, before: datetime) -> int:
    """Delete revisions that nothing but previews ever sent with, and whose mails and previews are gone."""
    rows = tx.execute(
        "DELETE FROM email_template_revisions WHERE is_preview AND created_at < :before AND NOT EXISTS"
        " (SELECT 1 FROM email_messages WHERE email_messages.template_revision = email_template_revisions.revision"
        " AND template_ref IS NOT NULL) AND NOT EXISTS"
        " (SELECT 1 FROM preview_items WHERE preview_items.revision = email_template_revisions.revision)"
        " RETURNING revision",
        {"before": before},
    )
    return len(rows)


def _item_row(name: str, one: PreviewItem, packed: bytes | None) -> tuple[Any, ...]:
    new = set(one.new_findings)
    findings = [_plain(finding) | {"is_new": finding in new} for finding in one.findings]
    return (
        name, one.key, one.change, json.dumps(list(one.why), ensure_ascii=False), one.revision, one.version,
        one.revision_before, one.version_before,
        json.dumps([asdict(line) for line in one.contract], ensure_ascii=False),
        json.dumps(findings, ensure_ascii=False),
        digest_of(packed) if packed is not None else None, compress(packed) if packed is not None else None,
    )  # fmt: skip


def _item(row: Row) -> PreviewItem:
    read = [(one.pop("is_new"), Finding(**one)) for one in json.loads(row["findings"])]
    return PreviewItem(
        key=row["key"],
        change=Change(row["change"]),
        why=json.loads(row["why"]),
        revision=row["revision"],
        version=row["version"],
        revision_before=row["revision_before"],
        version_before=row["version_before"],
        contract=[ContractLine(**one) for one in json.loads(row["contract"])],
        findings=[finding for _, finding in read],
        new_findings=[finding for is_new, finding in read if is_new],
    )


def _preview(row: Row) -> Preview:
    return Preview(
        name=row["name"],
        ref=row["ref"],
        commit=Commit(
            id=row["git_commit"],
            author=row["author"],
            committed_at=row["committed_at"],
            first_line=row["first_line"],
        ),
        seen_at=row["seen_at"],
        prepared_at=row["prepared_at"],
        judged=row["judged"],
        deployment_id=row["deployment_id"],
        reason=row["reason"],
        findings=[Finding(**one) for one in json.loads(row["findings"])],
        site_values=json.loads(row["site_values"]),
        site_examples=json.loads(row["site_examples"]),
        changed_count=row["changed_count"],
        findings_count=row["findings_count"],
        links=row["links"],
    )


def _written(findings: Sequence[Finding]) -> str:
    return json.dumps([_plain(one) for one in findings], ensure_ascii=False)


def _plain(one: Finding) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("file", "line", "column", "severity", "code", "message", "hint")}
