"""A cache that is bounded by the bytes of what it holds, not by its number: one template may be a thousand others."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SizedCache(Generic[K, V]):
    """Values by key, `max_bytes` together or a single one; the least recently used leave first. Thread-safe."""

    def __init__(self, max_bytes: int, size_of: Callable[[V], int]) -> None:
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._held_bytes = 0

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    @property
    def held_bytes(self) -> int:
        """The sizes of all values together."""
        return self._held_bytes

    def get(self, key: K) -> V | None:
        """The value of a key; None if it is not there."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V) -> V:
        """Keep this value, and return it."""
        size_bytes = self._size_of(value)
        with self._lock:
            if key in self._values:
                self._held_bytes -= self._values.pop(key)[1]
            self._values[key] = value, size_bytes
            self._held_bytes += size_bytes
            while self._held_bytes > self._max_bytes and len(self._values) > 1:
                _, (_, left_bytes) = self._values.popitem(last=False)
                self._held_bytes -= left_bytes
        return value
