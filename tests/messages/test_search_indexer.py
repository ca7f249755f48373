"""The index of words follows accepting, a minute behind, and the worker keeps it."""

from datetime import timedelta
from pathlib import Path

import pytest

from service import worker
from service.messages import search_indexer
from service.messages.search_indexer import BEHIND, SearchIndexer
from service.store.database import Database
from tests.support import rows
from tests.support.running import eventually, running, settings_for
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


def test_search_index_is_kept_by_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "INDEX_EVERY_S", 0.02)
    monkeypatch.setattr(search_indexer, "BEHIND", timedelta(0))
    with running(settings_for(tmp_path)) as service:
        welcome = {"reseller_name": "Findable", "validation_link": "https://rgz.bj", "estimated_duration": "7 jours"}
        assert service.send("onboarding_welcome", "a@example.com", welcome).status_code == 201
        look = "SELECT word FROM search_words WHERE word = 'findable'"
        eventually(lambda: service.services.database.read(look), bool)
