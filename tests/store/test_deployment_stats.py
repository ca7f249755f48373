"""What became of a deployment's mails, and finding messages by deployment, commit and revision, on both databases."""

from datetime import timedelta
from pathlib import Path

from service.models import Commit, Deployment, DeploymentState, Status, Trigger
from service.monitoring.template_refusals import TemplateRefusals
from service.store import deployment_stats, deployments, message_queries, revisions, template_files, template_stats
from service.store.database import Database, open_database
from service.store.message_queries import MessageQuery
from service.store.migrations import migrate
from service.store.retention import delete_ended
from service.store.template_stats import Refusal, RevisionFigures
from tests.support import rows

COMMIT = "c0ffee" + "0" * 34
REVISION = rows.REVISION.revision


def deploy(database: Database, name: str, commit: str = COMMIT) -> None:
    deployment = Deployment(
        id=name,
        source="files",
        commit=Commit(id=commit, author="Ada <ada@example.org>", first_line="A new greeting"),
        trigger=Trigger.FILES,
        state=DeploymentState.WAITING,
        templates_count=1,
        changed_count=1,
        broken_count=0,
        compiler=1,
        created_at=rows.NOW,
        tree=template_files.save_tree(database, {}),
    )
    database.write(lambda tx: deployments.add(tx, deployment, []))
    database.write(lambda tx: deployments.activate(tx, name, in_place_of=deployments.live_id(tx), now=rows.after(1)))


def send(database: Database, deployment: str | None = None, commit: str | None = None, **fields: object) -> str:
    """Store one message of a send of this deployment and commit, and return its id."""
    is_test = bool(fields.get("is_test", False))
    one = rows.new_send(deployment_id=deployment, git_commit=commit, is_test=is_test)
    return rows.store(database, rows.new_message(one, **fields), send=one)[0]


def becomes(database: Database, message_id: str, status: Status) -> None:
    change = {"id": message_id, "status": status.value, "at": rows.NOW}
    database.write(
        lambda tx: tx.execute("UPDATE email_messages SET status = :status, sent_at = :at WHERE id = :id", change)
    )


def test_deployment_stats_count_by_template_what_was_sent_bounced_and_refused(database: Database) -> None:
    for status, key in (
        (Status.SENT, "a"),
        (Status.BOUNCED, "a"),
        (Status.COMPLAINT, "a"),
        (Status.DELIVERED, "b"),
    ):
        becomes(database, send(database, "d1", COMMIT, template_key=key), status)
    send(database, "d1", COMMIT, template_key="a")
    send(database, "d1", COMMIT, template_key="a", is_test=True)
    send(database, "d2", COMMIT, template_key="a")
    send(database, None, COMMIT, template_key="a")
    day_at = rows.NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    counted = {Refusal("d1", "a", REVISION, day_at): 2, Refusal("d1", "c", "c" * 64, day_at): 5}
    counted |= {Refusal("d2", "a", REVISION, day_at): 7}
    for _ in range(2):
        database.write(lambda tx: template_stats.add_refusals(tx, counted))
    assert deployment_stats.by_template(database, "d1") == [
        RevisionFigures("a", REVISION, accepted=4, sent=3, bounced=1, complaints=1, refused=4),
        RevisionFigures("b", REVISION, accepted=1, sent=1),
        RevisionFigures("c", "c" * 64, refused=10),
    ]
    assert deployment_stats.by_template(database, "unknown") == []


def test_deployment_stats_read_the_sends_of_the_deployment_alone_on_sqlite(tmp_path: Path) -> None:
    """PostgreSQL's planner scans tables that are this small."""
    database = open_database(f"sqlite:///{tmp_path / 'mails.db'}")
    migrate(database)
    sql = (
        "SELECT COUNT(*) FROM sends JOIN email_messages ON email_messages.send_id = sends.id"
        " WHERE sends.deployment_id = 'd1'"
    )
    explained = database.write(lambda tx: tx.execute(f"EXPLAIN QUERY PLAN {sql}"))
    database.close()
    plan = " ".join(str(row["detail"]) for row in explained)
    assert "USING COVERING INDEX sends_deployment" in plan
    assert "USING COVERING INDEX messages_send" in plan


def test_refusals_are_counted_by_revision_and_day_and_leave_with_the_audit(database: Database) -> None:
    times = iter([rows.NOW, rows.NOW, rows.after(86_400)])
    refusals = TemplateRefusals(database, lambda: next(times), flush_after_s=3_600)
    for _ in range(3):
        refusals.add("a", REVISION, None)
    refusals.close()
    until = rows.after(86_500)
    found = template_stats.since(database, since=rows.NOW - timedelta(days=30), now=until)
    assert found == [RevisionFigures("a", REVISION, refused=3)]
    assert template_stats.since(database, since=rows.after(86_400), now=until)[0].refused == 1
    assert database.write(lambda tx: delete_ended(tx, before=rows.after(3_600), limit=10)) == 1
    assert template_stats.since(database, since=rows.NOW - timedelta(days=30), now=until)[0].refused == 1


def test_messages_are_found_by_deployment_commit_and_revision(database: Database) -> None:
    deploy(database, "0199-fa")
    ours = send(database, "0199-fa", COMMIT)
    pinned = send(database, None, COMMIT)
    other = send(database, "0199-0b", "f" * 64)
    old = send(database)

    def found(**filters: object) -> set[str]:
        page = message_queries.search(database, MessageQuery(**filters), limit=10, now=rows.NOW)  # type: ignore[arg-type]
        assert page.total == len(page.items)
        return {item.id for item in page.items}

    assert found(deployment="0199-fa") == found(deployment="0199-f") == {ours}
    assert found(deployment="0199") == {ours, other}
    assert found(commit=COMMIT) == found(commit="c0ff") == {ours, pinned}
    assert found(commit=COMMIT, template_key="unknown") == set()
    assert found(revisions=(REVISION,)) == {ours, pinned, other, old}
    assert found(revisions=(REVISION, "b" * 64), deployment="0199-0b") == {other}
    assert found(revisions=()) == set()


def test_messages_of_a_deployment_are_listed_page_by_page_when_they_are_more_than_are_counted(
    database: Database,
) -> None:
    ids = [send(database, "d1", created_at=rows.after(n)) for n in range(7)]
    send(database, "d2")
    cursor, seen = None, []
    for _ in range(4):
        query = MessageQuery(deployment="d1")
        page = message_queries.search(database, query, limit=2, cursor=cursor, now=rows.NOW, max_counted=3)
        assert (page.total, page.total_capped) == (3, True)
        seen += [item.id for item in page.items]
        cursor = page.next
    assert (seen, cursor) == (ids[::-1], None)


def test_origin_of_a_send_tells_its_commit_author_and_deployment(database: Database) -> None:
    deploy(database, "d1")
    known, unrecorded, old = send(database, "d1", COMMIT), send(database, "d2", COMMIT), send(database)

    def origin(message_id: str) -> tuple[object, ...]:
        message = message_queries.get(database, message_id, now=rows.NOW)
        assert message is not None
        found = message_queries.origin(database, message.send_id)
        return found.deployment_id, found.commit, found.author, found.first_line, found.live_at

    assert origin(known) == ("d1", COMMIT, "Ada <ada@example.org>", "A new greeting", rows.after(1))
    assert origin(unrecorded) == ("d2", COMMIT, None, None, None)
    assert origin(old) == (None, None, None, None, None)


def test_first_send_of_a_revision_is_noted_once_and_not_by_its_deployment(database: Database) -> None:
    database.write(lambda tx: revisions.save_revision(tx, rows.REVISION))
    assert revisions.versions(database, rows.REVISION.key)[0].first_sent_at is None
    for seconds in (5, 9):
        at = rows.after(seconds)
        database.write(lambda tx, at=at: revisions.save_revision(tx, rows.REVISION, sent_at=at))  # type: ignore[misc]
        database.write(lambda tx: revisions.save_revision(tx, rows.REVISION))
    [kept] = revisions.versions(database, rows.REVISION.key)
    assert (kept.first_sent_at, kept.created_at) == (rows.after(5), rows.REVISION.created_at)
