"""Inverted index for message search, filled asynchronously about a minute behind acceptance.

A word is a run of letters and digits, without case and accents, of 2 to 40 characters; it comes from the subject, the
address, the values of the variables and the metadata. The template's own text is not indexed: the template's key finds
those messages. Messages that are not indexed yet are scanned one by one.
"""

import json
import re
import unicodedata
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.models import Message
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row
from service.store.message_queries import (
    MESSAGE_COLUMNS,
    MessageQuery,
    conditions_of,
    message_of,
)
from service.store.pages import MAX_COUNTED, Page, make_cursor, parse_cursor

#: Words of one message; of more only the first are indexed: address, subject, then the outermost of its variables.
MAX_WORDS = 32
MAX_WORD_LENGTH = 40
#: Words that a prefix such as `tech*` may match.
MAX_EXPANDED = 20
#: Messages not indexed yet that a search scans, the newest.
MAX_LOOKED_THROUGH = 2_000
#: Letters that Unicode does not decompose, as people without them on their keyboard write them.
_LETTERS = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "ng", "ı": "i"}
)
_NOTHING_YET = (datetime(1970, 1, 1, tzinfo=UTC), "")
_WORD = re.compile(r"[^\W_]{2,}")
_TEXTS = "recipient_email, subject, variables, metadata"


@dataclass(frozen=True, slots=True)
class Term:
    """A word that a message must contain, or with `is_beginning` a prefix of one."""

    word: str
    is_beginning: bool


def terms_of(text: str) -> list[Term]:
    """Parse a search text: every word must match; `tech*` is a prefix. [] where it has no word."""
    terms: dict[Term, None] = {}
    for piece in _folded(text).split():
        found = [word[:MAX_WORD_LENGTH] for word in _WORD.findall(piece)]
        for n, word in enumerate(found):
            terms[Term(word, piece.endswith("*") and n == len(found) - 1)] = None
    return list(terms)


def index_step(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Index the next messages accepted before `before`; returns how many were read, 0 where none is left.

    Anonymised messages have no words. Workers take turns, also with a purge that anonymises messages meanwhile.
    """
    nothing_yet = {"at": _NOTHING_YET[0], "id": _NOTHING_YET[1]}
    tx.execute(
        "INSERT INTO search_progress (id, up_to_at, up_to_id) VALUES (1, :at, :id) ON CONFLICT (id) DO NOTHING",
        nothing_yet,
    )
    lock = " FOR UPDATE" if tx.dialect == "postgresql" else ""
    [progress] = tx.execute(f"SELECT up_to_at, up_to_id FROM search_progress WHERE id = 1{lock}")
    share = " FOR SHARE" if tx.dialect == "postgresql" else ""
    rows = tx.execute(
        f"SELECT id, created_at, anonymised_at, {_TEXTS} FROM email_messages"
        " WHERE (created_at, id) > (:at, :id) AND created_at < :before"
        f" ORDER BY created_at, id LIMIT :limit{share}",
        {"at": progress["up_to_at"], "id": progress["up_to_id"], "before": before, "limit": limit},
    )
    if not rows:
        return 0
    [last] = tx.execute("SELECT COALESCE(MAX(n), 0) AS n FROM search_entries")
    entries: list[tuple[int, str]] = []
    words: list[tuple[str, int]] = []
    for row in rows:
        if row["anonymised_at"] is None:
            n = last["n"] + len(entries) + 1
            entries.append((n, row["id"]))
            words += [(word, n) for word in _words_of(row)]
    tx.insert("search_entries", ("n", "of_message"), entries)
    tx.insert("search_words", ("word", "n"), words)
    tx.execute(
        "UPDATE search_progress SET up_to_at = :at, up_to_id = :id WHERE id = 1",
        {"at": rows[-1]["created_at"], "id": rows[-1]["id"]},
    )
    return len(rows)


def forget(tx: Transaction, message_ids: Collection[str]) -> None:
    """Remove these messages from the index; deleting a message does so by ON DELETE CASCADE."""
    names, params = listed("id", message_ids)
    tx.execute(f"DELETE FROM search_entries WHERE of_message IN ({names})", params)  # the words go by CASCADE


def indexed_up_to(reader: Reader) -> datetime:
    """When the last indexed message was accepted; 1970 where there is none."""
    return _progress(reader)[0]


def search(
    reader: Reader, terms: Sequence[Term], query: MessageQuery, *, limit: int, cursor: str | None = None, now: datetime
) -> Page[Message]:
    """A page of messages that match all terms; counts are capped. Raises ValueError for a bad cursor."""
    place = parse_cursor(cursor) if cursor is not None else None
    fresh = list(_looked_through(reader, terms, query, _progress(reader)))
    total = len(fresh)
    ids = [row["id"] for row in fresh if place is None or (row["created_at"], row["id"]) < place][: limit + 1]
    if (source := _source(reader, terms)) is not None:
        total += _count(reader, source, query)
        if len(ids) <= limit:
            ids += _indexed(reader, source, query, place=place, limit=limit + 1 - len(ids))
    names, params = listed("id", ids)
    rows = reader.read(
        f"SELECT {MESSAGE_COLUMNS} FROM email_messages WHERE id IN ({names}) ORDER BY created_at DESC, id DESC", params
    )
    items = [message_of(row, now=now) for row in rows[:limit]]
    more = len(rows) > limit and items
    return Page(
        items=items,
        total=min(total, MAX_COUNTED),
        total_capped=total > MAX_COUNTED,
        next=make_cursor(items[-1].created_at, items[-1].id) if more else None,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """SQL for the numbers of the entries that match all terms, and its parameters."""

    sql: str
    params: dict[str, Any]


def _progress(reader: Reader) -> tuple[datetime, str]:
    rows = reader.read("SELECT up_to_at, up_to_id FROM search_progress WHERE id = 1")
    return (rows[0]["up_to_at"], rows[0]["up_to_id"]) if rows else _NOTHING_YET


def _source(reader: Reader, terms: Sequence[Term]) -> _Source | None:
    """Drive the query by the rarest term and look each other one up; None where a prefix matches no word."""
    choices = [_expanded(reader, term) if term.is_beginning else [term.word] for term in terms]
    if not all(choices):
        return None
    if len(choices) > 1:
        choices.sort(key=lambda words: _how_many(reader, words))
    params: dict[str, Any] = {}
    parts = []
    for t, words in enumerate(choices):
        names, own = listed(f"word_{t}", words)
        params |= own
        if t > 0:
            parts.append(f"EXISTS (SELECT 1 FROM search_words AS w{t} WHERE w{t}.word IN ({names}) AND w{t}.n = w0.n)")
        elif len(words) == 1:  # in the order of the key: no sorting
            lead = f"SELECT w0.n AS n FROM search_words AS w0 WHERE w0.word = {names}"
        else:
            several = f"SELECT DISTINCT n FROM search_words WHERE word IN ({names})"
            lead = f"SELECT w0.n AS n FROM ({several}) AS w0 WHERE 1 = 1"
    return _Source(" AND ".join([lead, *parts]), params)


def _expanded(reader: Reader, term: Term) -> list[str]:
    """The words with this prefix, by one index look-up each."""
    words: list[str] = []
    params = {"from": term.word, "end": f"{term.word}\U0010ffff"}
    while len(words) < MAX_EXPANDED:
        beyond = ">" if words else ">="
        sql = f"SELECT MIN(word) AS word FROM search_words WHERE word {beyond} :from AND word < :end"
        found = reader.read(sql, params)[0]["word"]
        if found is None:
            break
        words.append(found)
        params["from"] = found
    return words


def _how_many(reader: Reader, words: Sequence[str]) -> int:
    names, params = listed("word", words)
    rows = reader.read(
        f"SELECT COUNT(*) AS total FROM (SELECT 1 FROM search_words WHERE word IN ({names}) LIMIT :most) AS counted",
        {**params, "most": MAX_LOOKED_THROUGH},
    )
    return int(rows[0]["total"])


def _indexed(
    reader: Reader, source: _Source, query: MessageQuery, *, place: tuple[datetime, str] | None, limit: int
) -> list[str]:
    conditions, params = conditions_of(query)
    if place is not None:
        conditions.append("(created_at, id) < (:cursor_at, :cursor_id)")
        params["cursor_at"], params["cursor_id"] = place
        found = reader.read("SELECT n FROM search_entries WHERE of_message = :id", {"id": place[1]})
        if found:  # everything that follows has a lower number
            source = _Source(f"{source.sql} AND w0.n < :cursor_n", {**source.params, "cursor_n": found[0]["n"]})
    rows = reader.read(
        f"SELECT of_message FROM ({source.sql}) AS found JOIN search_entries ON search_entries.n = found.n"
        f" JOIN email_messages ON email_messages.id = of_message{_where(conditions)}"
        " ORDER BY found.n DESC LIMIT :limit",
        {**source.params, **params, "limit": limit},
    )
    return [row["of_message"] for row in rows]


def _count(reader: Reader, source: _Source, query: MessageQuery) -> int:
    conditions, params = conditions_of(query)
    joined = (
        " JOIN search_entries ON search_entries.n = found.n"
        f" JOIN email_messages ON email_messages.id = of_message{_where(conditions)}"
    )
    rows = reader.read(
        f"SELECT COUNT(*) AS total FROM (SELECT 1 FROM ({source.sql}) AS found{joined if conditions else ''}"
        " LIMIT :most) AS counted",
        {**source.params, **params, "most": MAX_COUNTED + 1},
    )
    return int(rows[0]["total"])


def _looked_through(
    reader: Reader, terms: Sequence[Term], query: MessageQuery, after: tuple[datetime, str]
) -> Iterator[Row]:
    """Messages that are not indexed yet and match all terms, newest first."""
    conditions, params = conditions_of(query)
    conditions += ["(created_at, id) > (:after_at, :after_id)", "anonymised_at IS NULL"]
    rows = reader.read(
        f"SELECT id, created_at, {_TEXTS} FROM email_messages{_where(conditions)}"
        " ORDER BY created_at DESC, id DESC LIMIT :most",
        {**params, "after_at": after[0], "after_id": after[1], "most": MAX_LOOKED_THROUGH},
    )
    for row in rows:
        words = _words_of(row)
        if all(any(word.startswith(term.word) for word in words) if term.is_beginning else term.word in words
               for term in terms):  # fmt: skip
            yield row


def _words_of(row: Row) -> dict[str, None]:
    """The distinct words of a message, in their order."""
    texts = [row["recipient_email"], row["subject"], *_values(row["variables"]), *_values(row["metadata"])]
    words: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(_folded(text)):
            words[word[:MAX_WORD_LENGTH]] = None
            if len(words) == MAX_WORDS:
                return words
    return words


def _values(text: str) -> Iterator[str]:
    """The texts and numbers of a JSON object, outermost first, without the names of its fields."""
    if text == "{}":
        return
    waiting: deque[Any] = deque([json.loads(text)])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Without its own marks first: the time of ordering a run of them grows with its square.
    bare = "".join(character for character in text if not unicodedata.combining(character))
    decomposed = unicodedata.normalize("NFKD", bare)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()
    return plain.translate(_LETTERS)


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
