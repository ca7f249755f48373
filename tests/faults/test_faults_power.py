"""The power goes at any moment: what had been answered with 201 is on the disk.

Simulated: API and worker stand still for a moment (SIGSTOP), database and write-ahead log are copied, not the shared
memory. Of the log's copy the end is torn off at a random place behind what it held when the last answer was given:
that much a disk may lose of what was not yet asked to be synchronised. (`test_store_sqlite` holds synchronous=FULL.)
"""

import logging
import os
import random
import shutil
import signal
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tests.support.faults.load import Crew, Load, all_sent, database_url, environment_for, reckon
from tests.support.faults.sink import Sink
from tests.support.running import eventually

_COPIES = 25
_log = logging.getLogger("faults")


def test_copies_made_at_any_moment_hold_what_was_answered_before(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    with Sink() as sink:
        environment = environment_for(tmp_path, sink)
        database = Path(environment["EMAIL_DATA_DIR"]) / "rgz-email.db"
        with Crew(["api", "worker"], environment) as crew:
            crew.wait()
            torn = 0
            with Load(crew.url, pause_s=0.0) as load:
                load.wait_for(20)
                for n in range(_COPIES):
                    load.wait_for(1)
                    promised = [one.id for one in load.answered()]
                    kept = log_of(database)
                    time.sleep(chance.uniform(0, 0.05))
                    copy = tmp_path / f"copy-{n}.db"
                    with standing_still([process.pid for process in crew.processes]):
                        shutil.copyfile(database, copy)
                        shutil.copyfile(f"{database}-wal", f"{copy}-wal")
                    torn += tear(Path(f"{copy}-wal"), kept, chance)
                    assert missing(copy, promised) == [], f"copy {n}, seed {seed}"
                answered = load.stop()
            found = reckon(sink, answered, all_sent(database_url(environment), answered))
    _log.info("copies %d, torn %d, answered %d, %s", _COPIES, torn, len(answered), found)
    assert torn > 0, "no log had an end to lose"
    assert (found.lost, found.twice) == ([], 0)


def test_log_that_lost_what_was_promised_is_noticed(tmp_path: Path) -> None:
    """The test above can fail: a log torn before the answer lacks the row."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE email_messages (id TEXT PRIMARY KEY)")
        kept = log_of(path)
        connection.execute("INSERT INTO email_messages VALUES ('promised')")
        shutil.copyfile(path, tmp_path / "copy.db")
        shutil.copyfile(f"{path}-wal", tmp_path / "copy.db-wal")
    os.truncate(tmp_path / "copy.db-wal", kept[1])
    assert missing(tmp_path / "copy.db", ["promised"]) == ["promised"]


@contextmanager
def standing_still(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            eventually(partial(states, pid), lambda found: found == {"T"}, within_s=60)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def states(pid: int) -> set[str]:
    """What each thread does, as /proc says it; T: it stands still."""
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")}


def log_of(database: Path) -> tuple[bytes, int]:
    """The write-ahead log now: its salt, which changes when it begins anew, and where its last frame ends."""
    log = Path(f"{database}-wal").read_bytes()
    page_bytes = struct.unpack(">I", log[8:12])[0]
    salt, end, frame_bytes = log[16:24], 32, 24 + page_bytes
    # https://sqlite.org/fileformat2.html#the_write_ahead_log: a frame of this log bears its salt.
    while log[end + 8 : end + 16] == salt and end + frame_bytes <= len(log):
        end += frame_bytes
    return salt, end


def tear(copy: Path, kept: tuple[bytes, int], chance: random.Random) -> bool:
    """Lose some of what came after `kept`; False where the log began anew since, or nothing came."""
    salt, end = kept
    data = copy.read_bytes()
    if data[16:24] != salt or len(data) <= end:
        return False
    at = chance.randrange(end, len(data))
    copy.write_bytes(data[:at] + chance.randbytes(min(512, len(data) - at)))
    return True


def missing(copy: Path, promised: Sequence[str]) -> list[str]:
    """Which of these messages the copy lacks; it is whole, whatever it lacks."""
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        there = {row[0] for row in connection.execute("SELECT id FROM email_messages")}
    return [message_id for message_id in promised if message_id not in there]
