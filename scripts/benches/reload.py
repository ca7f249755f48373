"""Time from saving a template to serving it while the same process renders, and the delay of those renders."""

import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benches.invoice import KEY, LIMITS, MAILS, values
from benches.report import Unmeasured
from benches.template_copies import key_of, with_text
from service.config import runtime
from service.templates.catalogue import Catalogue
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import compiler_of_its_own

_THREADS = 4
_TIMEOUT_S = 10.0
#: Pause after each save, so that the next one is noticed alone.
REST_S = 0.25


@dataclass(frozen=True)
class Reloads:
    """Results: time from save to served, and of the renders meanwhile the time from when each was due to its end."""

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
    """Threads that render all templates in turn, `rate` a second; a late thread catches up."""

    catalogue: Catalogue
    count: int
    rate: float
    stop: threading.Event = field(default_factory=threading.Event)
    waits_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self, index: int) -> None:
        variables = values()
        interval_s = _THREADS / self.rate
        due_s = time.perf_counter() + interval_s * index / _THREADS
        number = index
        while not self.stop.is_set():
            pause_s = due_s - time.perf_counter()
            if pause_s > 0:
                time.sleep(pause_s)
            try:
                self.catalogue.current.get(key_of(number % self.count)).render(variables)
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.waits_s.append(time.perf_counter() - due_s)
            due_s += interval_s
            number += 37  # visits all of them, neighbours far apart


def measure(root: Path, cache: Path, *, count: int, saves: int, rate: float) -> Reloads:
    """Measure with the templates of `template_copies` in `root` and its `cache`.

    Raises Unmeasured where a save is not served within 10 s.
    """
    with compiler_of_its_own(LIMITS) as compiler:
        catalogue = DirectoryCatalogue(root, compiler=compiler, cache_dir=cache)
        catalogue.load()
        return _measure(catalogue, root, count=count, saves=saves, rate=rate)


def _measure(catalogue: Catalogue, root: Path, *, count: int, saves: int, rate: float) -> Reloads:
    for number in range(count):  # the first rendering of a template compiles its Python code
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
        served_ms = [_save_ms(catalogue, root, number % count) for number in range(saves)]
        seconds = time.perf_counter() - start
        waits_s = list(renders.waits_s)
    finally:
        stop.set()
        renders.stop.set()
        for thread in threads:
            thread.join()
    return Reloads(served_ms, [wait_s * 1000 for wait_s in waits_s], renders.failures, seconds)


def _save_ms(catalogue: Catalogue, root: Path, number: int) -> float:
    """Milliseconds from renaming a new file over the old one, as editors save, to its new revision being served."""
    key = key_of(number)
    before = catalogue.current.get(key).revision
    source = (MAILS / KEY / "template.mjml").read_text(encoding="utf-8")
    new = root / key / ".template.mjml.new"
    new.write_text(with_text(source, f"Enregistré à {time.time_ns()}"), encoding="utf-8")
    start = time.perf_counter()
    new.replace(root / key / "template.mjml")
    while catalogue.current.get(key).revision == before:
        if time.perf_counter() - start > _TIMEOUT_S:
            raise Unmeasured(f"{key} was not served within {_TIMEOUT_S:.0f} s of its change")
        time.sleep(0.003)  # polling more often would slow down the compiler
    served_ms = (time.perf_counter() - start) * 1000
    time.sleep(REST_S)
    return served_ms
