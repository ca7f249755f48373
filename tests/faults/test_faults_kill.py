"""SIGKILL at any moment: mail answered with 201 arrives, and twice only if it was under way."""

import logging
import random
import time
from pathlib import Path

import pytest

from tests.support.faults.load import Crew, Load, all_sent, database_url, environment_for, reckon
from tests.support.faults.sink import Sink

_log = logging.getLogger("faults")


def test_kills_of_api_and_workers_lose_nothing(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kills = 1_000 if pytestconfig.getoption("--long") else 20
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    with Sink(hold_s=0.004) as sink:
        environment = environment_for(tmp_path, sink)
        with Crew(["api", "worker", "worker"], environment) as crew:
            crew.wait()
            with Load(crew.url) as load:
                for _ in range(kills):
                    victim = chance.randrange(3)
                    if chance.random() < 0.8:  # at work; the others while they start
                        crew.wait_for(victim)
                    time.sleep(chance.uniform(0.0, 0.8))
                    crew.kill(victim)
                answered = load.stop()
            rows = all_sent(database_url(environment), answered)
        found = reckon(sink, answered, rows)
    _log.info("kills %d, answered %d, %s", kills, len(answered), found)
    assert found.answered > kills, f"hardly any load (seed {seed})"
    assert found.lost == [], f"seed {seed}"
    assert found.unexplained == [], f"seed {seed}"
    assert found.twice <= kills * 50, f"seed {seed}"  # what one commit of a worker holds at most
