"""The search indexer follows acceptance a minute behind."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.messages.search_indexer import BEHIND, SearchIndexer
from service.store.database import Database
from tests.support import rows
from tests.support.running import eventually, running, settings_for
from tests.support.samples import WELCOME
from tests.support.scripted import Clock


def test_search_indexer_leaves_messages_just_accepted_for_later(database: Database) -> None:
    clock = Clock()
    for n in range(3):
        rows.store_one(database, created_at=clock() - timedelta(seconds=n))
    indexer = SearchIndexer(database, clock)
    assert indexer.catch_up() == 0
    clock.now += BEHIND
    assert indexer.catch_up() == 2
    clock.now += timedelta(seconds=1)
    assert indexer.catch_up() == 1


def test_search_index_is_kept_by_the_worker(tmp_path: Path) -> None:
    ahead = timedelta(0)
    with running(settings_for(tmp_path), clock=lambda: datetime.now(UTC) + ahead, index_every_s=0.02) as service:
        variables = {**WELCOME, "reseller_name": "Findable"}
        assert service.send("onboarding_welcome", "a@example.com", variables).status_code == 201
        ahead = BEHIND
        look = "SELECT word FROM search_words WHERE word = 'findable'"
        eventually(lambda: service.services.database.read(look), bool)
