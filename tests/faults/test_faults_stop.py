"""SIGTERM while mail is under way: an end within 10 s, nothing sent twice, no lease left behind."""

import json
import logging
import os
import signal
from pathlib import Path

from tests.support.faults.load import (
    PATIENCE_S,
    Crew,
    Load,
    all_sent,
    database_url,
    environment_for,
    post,
    reckon,
    rows_of,
)
from tests.support.faults.sink import Sink
from tests.support.running import eventually

#: What is promised.
_END_WITHIN_S = 10

_log = logging.getLogger("faults")


def test_workers_that_are_told_to_end_send_nothing_twice_and_leave_nothing_behind(tmp_path: Path) -> None:
    with Sink(hold_s=0.1) as sink:
        environment = environment_for(tmp_path, sink)
        with Crew(["api"], environment) as api:
            api.wait()
            with Load(api.url, pause_s=0.1) as load, rows_of(database_url(environment)) as look:
                stops = 0
                for _ in range(3):
                    with Crew(["worker", "worker"], environment) as workers:
                        workers.wait()
                        before = len(sink.arrivals)
                        eventually(lambda: len(sink.arrivals), lambda count: count > before + 10, within_s=PATIENCE_S)  # noqa: B023
                        eventually(lambda: sink.on_the_wire, lambda count: count > 0, within_s=PATIENCE_S)
                        for process in workers.processes:
                            os.kill(process.pid, signal.SIGTERM)
                        for process in workers.processes:
                            assert process.wait(_END_WITHIN_S) == 0
                            stops += 1
                    assert [row["status"] for row in look().values() if row["status"] == "sending"] == []
                answered = load.stop()
            with Crew(["worker"], environment):
                rows = all_sent(database_url(environment), answered)
        found = reckon(sink, answered, rows)
    _log.info("SIGTERM %d, answered %d, %s", stops, len(answered), found)
    assert (found.lost, found.twice) == ([], 0)
    assert {row["lapsed_leases"] for row in rows.values()} == {0}


def test_worker_that_is_told_to_end_while_the_relay_hangs_releases_its_leases(tmp_path: Path) -> None:
    with Sink(hold_s=600.0) as sink:
        environment = environment_for(tmp_path, sink)
        with Crew(["api"], environment) as api, rows_of(database_url(environment)) as look:
            api.wait()
            with Crew(["worker"], environment) as workers:
                ids = [send(api, f"c{n}") for n in range(5)]
                eventually(lambda: sink.on_the_wire, lambda count: count > 0, within_s=PATIENCE_S)
                os.kill(workers.processes[0].pid, signal.SIGTERM)
                assert workers.processes[0].wait(_END_WITHIN_S) == 0
            rows = look()
            assert [rows[id_]["status"] for id_ in ids] == ["queued"] * 5
            # What had its last byte was perhaps taken: that is written down, and nothing was sent twice so far.
            assert sum(row["attempts"] for row in rows.values()) == len(sink.arrivals)
            assert all(len(same) == 1 for same in sink.copies().values())


def send(api: Crew, name: str) -> str:
    variables = {"reseller_name": f"Mail-of-{name}", "validation_link": "https://rgz.bj", "estimated_duration": "7"}
    body = {"to": f"{name}@example.com", "template_key": "onboarding_welcome", "variables": variables}
    status, _, answer = post(api.url(), body, key=name)
    assert status == 201
    message_id: str = json.loads(answer)["messages"][0]["id"]
    return message_id
