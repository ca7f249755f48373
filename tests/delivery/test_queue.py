"""Notifications of workers: one suite for the queues in SQLite, Valkey and PostgreSQL."""

import json
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.delivery.queue import TASK, Consumer, Huey, JsonSerializer, close_queue, notify, open_queue
from service.errors import ConfigurationError

PATIENT_S = 30.0


class QueueCases:
    """What every storage must do. A subclass says where the queue is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def open_it(self, url: str) -> Iterator[Callable[[], Huey]]:
        opened: list[Huey] = []

        def open_one() -> Huey:
            opened.append(open_queue(url))
            return opened[-1]

        yield open_one
        for queue in opened:
            close_queue(queue)

    @pytest.fixture
    def queue(self, open_it: Callable[[], Huey]) -> Huey:
        return open_it()

    def test_notification_wakes_the_task_of_that_name(self, queue: Huey, open_it: Callable[[], Huey]) -> None:
        woken = threading.Event()
        queue.task(name=TASK)(woken.set)
        consumer = Consumer(queue)
        consumer.start()
        try:
            assert notify(open_it())  # another process has a queue of its own, and no task
            assert woken.wait(PATIENT_S)
        finally:
            consumer.stop()

    def test_notifications_coalesce_while_one_waits(self, queue: Huey, open_it: Callable[[], Huey]) -> None:
        assert notify(queue)
        assert not notify(queue)
        assert not notify(open_it())
        assert queue.storage.queue_size() == 1
        queue.task(name=TASK)(lambda: None)
        assert queue.dequeue() is not None
        assert notify(queue)

    def test_notifications_of_many_callers_at_once_leave_one(self, open_it: Callable[[], Huey]) -> None:
        queues = [open_it() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            rung = list(pool.map(lambda n: notify(queues[n % 4]), range(40)))
        assert rung.count(True) == 1
        assert queues[0].storage.queue_size() == 1

    def test_notification_is_not_hidden_by_another_task(self, queue: Huey) -> None:
        queue.task(name="purge")(lambda: None)()
        assert notify(queue)
        assert queue.storage.queue_size() == 2

    def test_notification_is_answered_once(self, queue: Huey) -> None:
        answered = threading.Semaphore(0)
        queue.task(name=TASK)(answered.release)
        consumer = Consumer(queue)
        consumer.start()
        try:
            for _ in range(5):
                assert notify(queue)
                assert answered.acquire(timeout=PATIENT_S)
        finally:
            consumer.stop()
        assert not answered.acquire(blocking=False)
        assert queue.storage.queue_size() == 0

    def test_consumer_takes_no_more_when_stopped(self, queue: Huey) -> None:
        woken = threading.Event()
        queue.task(name=TASK)(woken.set)
        consumer = Consumer(queue)
        consumer.start()
        consumer.stop()
        assert notify(queue)
        assert not woken.wait(0.2)
        assert queue.storage.queue_size() == 1

    def test_consumer_stop_waits_for_the_task_under_way(self, queue: Huey) -> None:
        began, go, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            go.wait(PATIENT_S)
            ended.set()

        queue.task(name=TASK)(work)
        consumer = Consumer(queue)
        consumer.start()
        notify(queue)
        assert began.wait(PATIENT_S)
        threading.Timer(0.1, go.set).start()
        consumer.stop()
        assert ended.is_set()

    def test_consumer_survives_a_task_that_fails(self, queue: Huey) -> None:
        second = threading.Event()
        calls: list[int] = []

        def work() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise LookupError("once")
            second.set()

        queue.task(name=TASK)(work)
        consumer = Consumer(queue)
        consumer.start()
        try:
            notify(queue)
            while not calls:
                threading.Event().wait(0.01)
            while not notify(queue):
                threading.Event().wait(0.01)
            assert second.wait(PATIENT_S)
        finally:
            consumer.stop()

    def test_consumer_leaves_the_signal_handlers_of_the_process(self, queue: Huey) -> None:
        before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        consumer = Consumer(queue)
        consumer.start()
        during = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        consumer.stop()
        assert during == before

    def test_queue_runs_nothing_of_a_pickle(self, queue: Huey, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.touch()
        queue.storage.enqueue(pickle.dumps(_Bomb(str(victim))))
        with pytest.raises(ValueError, match=r"."):
            queue.dequeue()
        assert victim.exists()


class _Bomb:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.unlink, (Path(self._path),)  # type: ignore[return-value]


class TestSqliteQueue(QueueCases):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'new' / 'queue.db'}"

    def test_queue_makes_a_deleted_file_anew(self, queue: Huey, tmp_path: Path) -> None:
        notify(queue)
        for file in (tmp_path / "new").iterdir():
            file.unlink()
        assert notify(queue)
        assert queue.storage.queue_size() == 1
        assert (tmp_path / "new" / "queue.db").exists()


class TestValkeyQueue(QueueCases):
    @pytest.fixture
    def url(self, valkey_url: str) -> str:
        return valkey_url


class TestPostgresqlQueue(QueueCases):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return postgresql_url


@pytest.mark.parametrize(
    "url", ["mysql://x", "queue.db", "", "sqlite:////proc/nowhere/queue.db", "redis://127.0.0.1:1/0"]
)
def test_queue_that_cannot_be_opened_is_a_mistake_in_the_settings(url: str) -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_URL"):
        open_queue(url)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b'{"task": []}', b'{"task": {}}', b'{"task": {"name": "x", "y": 1}}', b"\xff"]
)
def test_serializer_refuses_what_it_did_not_write(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        JsonSerializer().deserialize(data)


def test_serializer_gives_back_plain_values() -> None:
    serializer = JsonSerializer()
    for value in (None, 1, "x", [1, {"a": "é"}]):
        assert serializer.deserialize(serializer.serialize(value)) == value
    with pytest.raises(TypeError):
        serializer.serialize(object())


def test_notification_is_json_that_carries_nothing(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path / 'queue.db'}")
    notify(queue)
    (data,) = queue.storage.enqueued_items()
    task = json.loads(bytes(data))["task"]
    assert (task["name"], task["args"], task["kwargs"]) == ("deliver_due", [], {})
    close_queue(queue)
