"""Template revisions that were deployed or sent, with their dictionaries, and the current row of each template.

Dictionaries are stored by their digest, so that a body is only ever unpacked with the one that packed it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.store.body_codec import compress, decompress, digest_of
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row

#: Names in one statement; both databases take many more.
_REVISIONS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class CurrentTemplate:
    """The row of a key in `email_templates`; the contents are Jinja source.

    `author` changed the template last, by git or as the admin; `creator` created it, where that is another person.
    """

    subject: str
    html_content: str
    text_content: str
    category: str
    required_variables: Sequence[str] = ()
    attachments_allowed: bool = False
    is_active: bool = True
    author: str | None = None
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """A template as it was when it was archived. `archive` renders it again; `dictionary` compresses its bodies.

    `is_preview`: it was never deployed, and archived because a preview of a pull request sent with it.
    """

    revision: str
    key: str
    version: int
    commit: str | None
    dirty: bool
    archive: bytes
    dictionary: bytes | None
    created_at: datetime
    current: CurrentTemplate | None = None
    first_sent_at: datetime | None = None
    is_preview: bool = False


#: In a statement where the table is named `kept`. The index of previews answers it, so that no archive is read past.
_DEPLOYED = "kept.revision NOT IN (SELECT revision FROM email_template_revisions WHERE is_preview)"


def save_revision(tx: Transaction, revision: Revision, *, sent_at: datetime | None = None) -> None:
    """Store a revision, once, and with `current` make it the current row of its key.

    `sent_at`: a send is rendered with it; the first one is noted.

    Another dictionary for a stored revision is kept beside the first, so that a process that renders the example a
    little differently packs and reads its own bodies all the same. `created_at` is now.
    """
    if is_kept(tx, revision, has_sent=sent_at is not None):
        return
    digest = digest_of(revision.dictionary) if revision.dictionary else None
    if digest:
        tx.execute(
            "INSERT INTO archive_dictionaries (sha256, data, created_at) VALUES (:sha256, :data, :created_at)"
            " ON CONFLICT (sha256) DO NOTHING",
            {"sha256": digest, "data": revision.dictionary, "created_at": revision.created_at},
        )
    _save_new(tx, revision, digest, sent_at)
    if revision.current is not None and not _is_current(tx, revision):
        save_current(tx, revision, revision.current)


def is_kept(reader: Reader, revision: Revision, *, has_sent: bool = False) -> bool:
    """Whether revision, dictionary and current row are stored: then `save_revision` has nothing to do.

    With `has_sent` its first send must be noted, too.

    Asked by each send. A revision that a preview archived is stored as deployed once it is. A key may return to a
    revision stored long ago; then its current row is out of date.
    """
    (kept,) = reader.read(
        "SELECT EXISTS (SELECT 1 FROM email_template_revisions AS kept WHERE"
        f" {_HAS_SENT if has_sent else _IS_STORED if revision.is_preview else _IS_DEPLOYED}) AS is_revision,"
        " EXISTS (SELECT 1 FROM archive_dictionaries WHERE sha256 = :dictionary) AS is_dictionary,"
        " EXISTS (SELECT 1 FROM email_templates WHERE key = :key AND revision = :revision) AS is_current",
        {
            "revision": revision.revision,
            "key": revision.key,
            "dictionary": digest_of(revision.dictionary) if revision.dictionary else None,
        },
    )
    return (
        kept["is_revision"]
        and (kept["is_dictionary"] or not revision.dictionary)
        and (kept["is_current"] or revision.current is None)
    )


_IS_STORED = "revision = :revision"
_IS_DEPLOYED = f"{_IS_STORED} AND {_DEPLOYED}"
#: A range, so that SQLite takes the index revisions_sent and does not read past the archive in the row.
_HAS_SENT = "revision BETWEEN :revision AND :revision AND first_sent_at IS NOT NULL"


def _is_current(reader: Reader, revision: Revision) -> bool:
    """Whether this revision is the current row, which publishing writes with more than a send knows: the author."""
    params = {"key": revision.key, "revision": revision.revision}
    return bool(reader.read("SELECT 1 FROM email_templates WHERE key = :key AND revision = :revision", params))


def current_authors(reader: Reader, key: str) -> tuple[str, str | None, str | None] | None:
    """The revision, creator and last author in the current row of a key; None: no such row."""
    params = {"key": key}
    rows = reader.read("SELECT revision, created_by, updated_by FROM email_templates WHERE key = :key", params)
    return (rows[0]["revision"], rows[0]["created_by"], rows[0]["updated_by"]) if rows else None


def current_revisions(reader: Reader) -> dict[str, str]:
    """The revision in the current row of each key."""
    return {row["key"]: row["revision"] for row in reader.read("SELECT key, revision FROM email_templates")}


def save_served(tx: Transaction, rows: Sequence[tuple[Revision, CurrentTemplate]]) -> None:
    """Make these the current rows of their keys, but for those that are, which know more of their authors."""
    known = current_revisions(tx)
    for revision, current in rows:
        if known.get(revision.key) != revision.revision:
            save_current(tx, revision, current)


def forget_current(tx: Transaction, key: str) -> None:
    """Delete the current row of a key whose template is gone; its revisions stay."""
    tx.execute("DELETE FROM email_templates WHERE key = :key", {"key": key})


def revision(reader: Reader, revision_id: str) -> Revision | None:
    """A stored revision (`current` is None); None where it was never archived. Raises ArchiveCorrupt."""
    return _one(reader, "kept.revision = :revision", {"revision": revision_id})


def stored(reader: Reader, revision_ids: Collection[str]) -> set[str]:
    """Those of these revisions that are stored as deployed."""
    found: set[str] = set()
    several = sorted(revision_ids)
    for start in range(0, len(several), 256):
        names, params = listed("revision", several[start : start + 256])
        sql = f"SELECT revision FROM email_template_revisions AS kept WHERE {_DEPLOYED} AND revision IN ({names})"
        found |= {row["revision"] for row in reader.read(sql, params)}
    return found


def latest_revision_of(reader: Reader, key: str, version: int) -> Revision | None:
    """The newest revision of this version; None where there is none. Raises ArchiveCorrupt."""
    return _one(
        reader, f"kept.key = :key AND kept.version = :version AND {_DEPLOYED}", {"key": key, "version": version}
    )


def latest_deployed(reader: Reader, key: str, version: int, *, now: datetime) -> str | None:
    """The digest of the newest revision of this version that no hold keeps out; None where there is none."""
    rows = reader.read(
        "SELECT revision FROM email_template_revisions AS kept WHERE key = :key AND version = :version"
        f" AND {_DEPLOYED} AND NOT EXISTS (SELECT 1 FROM template_holds WHERE {_IS_HELD})"
        " ORDER BY created_at DESC, revision DESC LIMIT 1",
        {"key": key, "version": version, "now": now},
    )
    return rows[0]["revision"] if rows else None


def is_held(reader: Reader, key: str, revision: str, *, now: datetime) -> bool:
    """Whether a hold keeps this revision from being served."""
    sql = (
        "SELECT 1 FROM template_holds WHERE key = :key AND revision = :revision"
        " AND (held_until IS NULL OR held_until > :now)"
    )
    return bool(reader.read(sql, {"key": key, "revision": revision, "now": now}))


_IS_HELD = (
    "template_holds.key = kept.key AND template_holds.revision = kept.revision"
    " AND (held_until IS NULL OR held_until > :now)"
)


def beginning_with(reader: Reader, digits: str, *, with_previews: bool) -> dict[str, tuple[str, int]]:
    """The stored revisions whose digest begins with these hex digits, up to 100: digest -> key and version.

    `with_previews`: also those that a preview sent with and that were never deployed.
    """
    is_wanted = "" if with_previews else f" AND {_DEPLOYED}"
    rows = reader.read(
        "SELECT revision, key, version FROM email_template_revisions AS kept"
        f" WHERE revision >= :first AND revision < :end{is_wanted} ORDER BY revision LIMIT 100",
        {"first": digits, "end": after_all(digits)},
    )
    return {row["revision"]: (row["key"], row["version"]) for row in rows}


def after_all(digits: str) -> str:
    """A text behind all hex names that begin with these digits, in the collation of both databases."""
    return f"{digits}g"


def versions_of(reader: Reader, revision_ids: Collection[str]) -> dict[str, int]:
    """The version of each of these revisions that is stored."""
    found: dict[str, int] = {}
    wanted = sorted(revision_ids)
    for start in range(0, len(wanted), _REVISIONS_AT_ONCE):
        names, params = listed("revision", wanted[start : start + _REVISIONS_AT_ONCE])
        rows = reader.read(
            f"SELECT revision, version FROM email_template_revisions WHERE revision IN ({names})", params
        )
        found |= {row["revision"]: row["version"] for row in rows}
    return found


def versions(reader: Reader, key: str) -> list[Revision]:
    """All deployed revisions of a key, newest first, without archive and dictionary (b"" and None)."""
    rows = reader.read(
        "SELECT revision, key, version, git_commit, is_dirty, created_at, first_sent_at FROM email_template_revisions"
        f" AS kept WHERE key = :key AND {_DEPLOYED} ORDER BY created_at DESC, revision DESC",
        {"key": key},
    )
    return [_revision(row, archive=b"", dictionary=None) for row in rows]


def _one(reader: Reader, condition: str, params: Mapping[str, object]) -> Revision | None:
    rows = reader.read(
        "SELECT kept.revision, kept.key, kept.version, kept.git_commit, kept.is_dirty, kept.created_at,"
        " kept.first_sent_at, kept.archive_sha256, kept.archive, dictionaries.data AS dictionary"
        " FROM email_template_revisions AS kept"
        " LEFT JOIN archive_dictionaries AS dictionaries ON dictionaries.sha256 = kept.dictionary_sha256"
        f" WHERE {condition} ORDER BY kept.created_at DESC, kept.revision DESC LIMIT 1",
        params,
    )
    if not rows:
        return None
    archive = decompress(rows[0]["archive"], rows[0]["archive_sha256"])
    return _revision(rows[0], archive=archive, dictionary=rows[0]["dictionary"])


def _revision(row: Row, *, archive: bytes, dictionary: bytes | None) -> Revision:
    return Revision(
        row["revision"], row["key"], row["version"], row["git_commit"], row["is_dirty"], archive, dictionary,
        row["created_at"], first_sent_at=row["first_sent_at"],
    )  # fmt: skip


def _save_new(tx: Transaction, revision: Revision, dictionary_sha256: str | None, sent_at: datetime | None) -> None:
    tx.execute(
        "INSERT INTO email_template_revisions (revision, key, version, git_commit, is_dirty, archive_sha256, archive,"
        " dictionary_sha256, created_at, first_sent_at, is_preview) VALUES (:revision, :key, :version, :commit, :dirty,"
        " :archive_sha256, :archive, :dictionary_sha256, :created_at, :sent_at, :is_preview)"
        " ON CONFLICT (revision) DO UPDATE SET"
        " first_sent_at = COALESCE(email_template_revisions.first_sent_at, excluded.first_sent_at),"
        " is_preview = email_template_revisions.is_preview AND excluded.is_preview",
        {
            "revision": revision.revision,
            "key": revision.key,
            "version": revision.version,
            "commit": revision.commit,
            "dirty": revision.dirty,
            "archive_sha256": digest_of(revision.archive),
            "archive": compress(revision.archive),
            "dictionary_sha256": dictionary_sha256,
            "created_at": revision.created_at,
            "sent_at": sent_at,
            "is_preview": revision.is_preview,
        },
    )


def save_current(tx: Transaction, revision: Revision, current: CurrentTemplate) -> None:
    """Make this the current row of the key, whether it has sent or not; a known creator stays."""
    tx.execute(
        "INSERT INTO email_templates (id, key, revision, subject, html_content, text_content, required_variables,"
        " attachments_allowed, category, version, is_active, created_by, created_at, updated_by, updated_at)"
        " VALUES (:key, :key, :revision, :subject, :html_content, :text_content, :required_variables,"
        " :attachments_allowed, :category, :version, :is_active, :creator, :now, :author, :now)"
        " ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, subject = excluded.subject,"
        " html_content = excluded.html_content, text_content = excluded.text_content,"
        " required_variables = excluded.required_variables, attachments_allowed = excluded.attachments_allowed,"
        " category = excluded.category, version = excluded.version, is_active = excluded.is_active,"
        " created_by = COALESCE(email_templates.created_by, :known_creator),"
        " updated_by = excluded.updated_by, updated_at = excluded.updated_at",
        {
            "key": revision.key,
            "revision": revision.revision,
            "subject": current.subject,
            "html_content": current.html_content,
            "text_content": current.text_content,
            "required_variables": json.dumps(list(current.required_variables)),
            "attachments_allowed": current.attachments_allowed,
            "category": current.category,
            "version": revision.version,
            "is_active": current.is_active,
            "author": current.author,
            "creator": current.creator or current.author,
            "known_creator": current.creator,
            "now": revision.created_at,
        },
    )
