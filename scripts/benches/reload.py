"""From saving a template to serving it, while the same process renders; and what the renders notice of it."""

import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benches.invoice import KEY, LIMITS, MAILS, values
from benches.report import Unmeasured
from benches.template_copies import key_of, said
from service.config import runtime
from service.templates.catalogue import Catalogue

_THREADS = 4
_SERVED_WITHIN_S = 10.0
#: Between two saves, so that each finds the watch at rest.
REST_S = 0.25


@dataclass(frozen=True)
class Reloads:
    """Milliseconds from save to served; the renders meanwhile: each one's wait from the moment it was due, in ms."""

    served_ms: list[float]
    waits_ms: list[float]
    failures: list[str]
    seconds: float

    @property
    def median_ms(self) -> float:
        return statistics.median(self.served_ms)

    @property
    def renders_a_second(self) -> float:
        return len(self.waits_ms) / self.seconds


@dataclass
class _Renders:
    """Threads that render now this template, now that one, at a steady pace; late ones catch up."""

    catalogue: Catalogue
    count: int
    rate: float
    stop: threading.Event = field(default_factory=threading.Event)
    waits_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self, index: int) -> None:
        variables = values()
        gap_s = _THREADS / self.rate
        due = time.perf_counter() + gap_s * index / _THREADS
        number = index
        while not self.stop.is_set():
            pause_s = due - time.perf_counter()
            if pause_s > 0:
                time.sleep(pause_s)
            try:
                self.catalogue.current.get(key_of(number % self.count)).render(variables)
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.waits_s.append(time.perf_counter() - due)
            due += gap_s
            number += 37  # all of them in turn, neighbours far apart


def measure(root: Path, cache: Path, *, count: int, saves: int, rate: float) -> Reloads:
    """`root` and `cache` as `template_copies` made them. Unmeasured: a save is not served within 10 s."""
    catalogue = Catalogue(root, limits=LIMITS, cache_dir=cache)
    catalogue.load()
    for number in range(count):  # Jinja becomes Python at the first rendering, which is no reload
        catalogue.current.get(key_of(number)).render(values())
    runtime.settle()  # as `serve` and `api` do
    renders = _Renders(catalogue, count, rate)
    stop = threading.Event()
    threads = [threading.Thread(target=catalogue.watch, args=(stop,))]
    threads += [threading.Thread(target=renders.run, args=(index,)) for index in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1.0)
        renders.waits_s.clear()
        start = time.perf_counter()
        served_ms = [_saved(catalogue, root, number % count) for number in range(saves)]
        seconds = time.perf_counter() - start
        waits_s = list(renders.waits_s)
    finally:
        stop.set()
        renders.stop.set()
        for thread in threads:
            thread.join()
    return Reloads(served_ms, [wait_s * 1000 for wait_s in waits_s], renders.failures, seconds)


def _saved(catalogue: Catalogue, root: Path, number: int) -> float:
    """Saves as an editor does, a new file renamed over the old one, and waits until that text is rendered."""
    key = key_of(number)
    before = catalogue.current.get(key).revision
    source = (MAILS / KEY / "template.mjml").read_text(encoding="utf-8")
    new = root / key / ".template.mjml.new"
    new.write_text(said(source, f"Enregistré à {time.time_ns()}"), encoding="utf-8")
    start = time.perf_counter()
    new.replace(root / key / "template.mjml")
    while catalogue.current.get(key).revision == before:
        if time.perf_counter() - start > _SERVED_WITHIN_S:
            raise Unmeasured(f"{key} was not served within {_SERVED_WITHIN_S:.0f} s of its change")
        time.sleep(0.003)  # more often would slow down what it waits for
    served_ms = (time.perf_counter() - start) * 1000
    time.sleep(REST_S)
    return served_ms
