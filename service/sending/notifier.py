"""Notifications to workers that messages are due."""

import threading
from collections.abc import Callable


class WorkerNotifier:
    """Notifies workers from a background thread, so that a slow queue delays no response; notifications coalesce."""

    def __init__(self, notify_workers: Callable[[], None]) -> None:
        self._notify_workers = notify_workers
        self._is_due = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Ask for a notification; returns at once."""
        self._is_due.set()

    def close(self) -> None:
        """Notify a last time, and end."""
        self._is_closed = True
        self._is_due.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._is_due.wait()
            self._is_due.clear()
            ends = self._is_closed
            self._notify_workers()
            if ends:
                return
