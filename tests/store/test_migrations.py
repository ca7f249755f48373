"""Migrations: each is applied once, and every column says what anonymising does to it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.store.database import Database, open_database
from service.store.database.contract import is_boolean, is_time
from service.store.database.statements import split, without_comments
from service.store.migrations import migrate, scripts
from tests.support.column_comments import WORDS, said


def _columns(database: Database) -> dict[tuple[str, str], str]:
    """The declared type of every column of every table of ours."""
    if database.dialect == "postgresql":
        sql = (
            "SELECT table_name, column_name, data_type AS type FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
    else:
        sql = (
            "SELECT tables.name AS table_name, columns.name AS column_name, columns.type AS type"
            " FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        )
    rows = database.read(sql)
    return {
        (row["table_name"], row["column_name"]): row["type"].lower()
        for row in rows
        if row["table_name"] != "schema_migrations"
    }


def test_migrate_applies_each_script_once(empty: Database) -> None:
    assert migrate(empty) == list(scripts())
    assert migrate(empty) == []
    assert [row["name"] for row in empty.read("SELECT name FROM schema_migrations ORDER BY name")] == list(scripts())


def test_migrate_is_safe_when_many_start_at_once(url: str) -> None:
    databases = [open_database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, databases))
    for database in databases:
        database.close()
    assert sorted(applied) == [[], [], [], list(scripts())]


def test_scripts_are_numbered_without_gaps() -> None:
    assert [int(name.split("_")[0]) for name in scripts()] == list(range(1, len(scripts()) + 1))


def test_column_comments_say_what_anonymising_does(database: Database) -> None:
    words = said()
    assert {column for column in _columns(database) if words.get(column) not in WORDS} == set()


def test_columns_are_named_for_what_they_hold(database: Database) -> None:
    for (table, column), kind in _columns(database).items():
        assert is_time(column) is kind.startswith("timestamp"), f"{table}.{column} is a {kind}"
        assert is_boolean(column) is (kind == "boolean"), f"{table}.{column} is a {kind}"


def test_tables_of_the_design_all_exist(database: Database) -> None:
    tables = {table for table, _ in _columns(database)}
    assert tables >= {
        "sends", "email_messages", "email_events", "email_bodies", "email_attachments", "attachment_blobs",
        "email_templates", "email_template_revisions", "suppressions", "marketing_claims", "api_keys", "feedback_seen",
    }  # fmt: skip


def test_split_is_not_fooled_by_semicolons_in_text() -> None:
    script = "-- a; b\nSELECT ';' AS \"x;y\"; /* ; */ SELECT 2 -- end;\n;;\n-- nothing more;\n"
    assert [without_comments(one).strip() for one in split(script)] == ["SELECT ';' AS \"x;y\"", "SELECT 2"]


@pytest.mark.parametrize(("kind", "index"), [("attempts = 0", "messages_new"), ("attempts > 0", "messages_tried")])
def test_claim_is_served_by_an_index(database: Database, kind: str, index: str) -> None:
    due = (
        f"SELECT id FROM email_messages WHERE status = 'queued' AND {kind} AND priority_rank = 0"
        " AND next_attempt_at <= :now ORDER BY next_attempt_at, id"
    )
    params = {"now": "2026-02-21T14:30:00.000000Z"}
    if database.dialect == "sqlite":
        plan = database.write(lambda tx: tx.execute(f"EXPLAIN QUERY PLAN {due}", params))
        assert [row["detail"] for row in plan] == [
            f"SEARCH email_messages USING INDEX {index} (priority_rank=? AND next_attempt_at<?)"
        ]
    else:
        # Whether the index can serve, whatever the planner thinks of a table that is empty just now.
        off = ("SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off")
        plan = database.write(lambda tx: ([tx.execute(one) for one in off], tx.execute(f"EXPLAIN {due}", params)))[1]
        assert index in str(plan)
        assert "Sort" not in str(plan)
