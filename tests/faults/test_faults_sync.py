"""SIGKILL of the process that follows the repository: never two deployments live, never none."""

import random
import time
from pathlib import Path

import pytest

from service.store.database import Database, open_database
from service.store.deployments import live
from tests.support.checkouts import MAIL
from tests.support.processes import started
from tests.support.running import ADMIN_TOKEN, eventually
from tests.support.template_repository import TemplateRepository


def test_kills_of_the_lease_holder_leave_one_deployment_live(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kills = 100 if pytestconfig.getoption("--long") else 4
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    repository = TemplateRepository(tmp_path / "git")
    repository.write()
    commit = repository.push("The first")
    environment = environment_of(repository, tmp_path / "state")
    with started("worker", environment=environment) as first:
        first.said("deployment_live")
    database = open_database(environment["DATABASE_URL"])
    try:
        for number in range(kills):
            repository.write("hello", MAIL.replace("<mj-text>Bonjour", f"<mj-text>Bonjour {number}"))
            commit = repository.push(f"Change {number}")
            with started("worker", environment=environment) as worker:
                worker.said("worker is up")
                time.sleep(chance.uniform(0.0, 1.0))
                worker.kill()
            assert lives(database) == 1, f"after kill {number} (seed {seed})"
        with started("worker", environment=environment):
            eventually(lambda: commit_of(database), lambda seen: seen == commit, within_s=60)
        assert lives(database) == 1
    finally:
        database.close()


def environment_of(repository: TemplateRepository, state: Path) -> dict[str, str]:
    state.mkdir(mode=0o700)
    return {
        "EMAIL_DATA_DIR": str(state),
        "DATABASE_URL": f"sqlite:///{state / 'rgz-email.db'}",
        "EMAIL_ADMIN_TOKEN": ADMIN_TOKEN,
        "EMAIL_TEMPLATES_GIT_URL": f"file://{repository.bare}",
        "EMAIL_TEMPLATES_GIT_PATH": "mails",
        "EMAIL_TEMPLATES_GIT_PROTOCOLS": "file",
        "EMAIL_TEMPLATES_GIT_INTERVAL_SECONDS": "1",
    }


def lives(database: Database) -> int:
    return len(database.read("SELECT id FROM deployments WHERE state = 'live'"))


def commit_of(database: Database) -> str | None:
    found = live(database)
    return found.commit.id if found and found.commit else None
