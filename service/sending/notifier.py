"""Notifications to workers that messages are due."""

import threading
from collections.abc import Callable


class WorkerNotifier:
    """Notifies workers from a background thread, so that a slow queue delays no response; notifications coalesce."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._pulled = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Ask for a notification; returns at once."""
        self._pulled.set()

    def close(self) -> None:
        """Send the last notification, where one is due, and end."""
        self._is_closed = True
        self._pulled.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._pulled.wait()
            self._pulled.clear()
            ends = self._is_closed
            self._ring()
            if ends:
                return
