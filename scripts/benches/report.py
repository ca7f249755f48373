"""What a bench found: rows of one run, with the machine and the versions they hold for."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


class Unmeasured(Exception):
    """Something that is needed is not there, or does not do what is measured; the message says what."""


@dataclass(frozen=True)
class Options:
    """`with_peers`: those of other languages too. `effort` scales how long is measured; tests take little of it."""

    with_peers: bool = False
    effort: float = 1.0


@dataclass(frozen=True)
class Row:
    """One measured thing: `value` in `unit`, its `ratio` to another, and the target, if there is one."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_to: str = ""
    target: str = ""
    is_met: bool | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:,.2f} x {self.ratio_to}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        return (self.name, f"{_number(self.value)} {self.unit}", ratio, self.target, verdict, self.note)


@dataclass(frozen=True)
class Report:
    """All rows of one bench."""

    bench: str
    rows: tuple[Row, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = field(default_factory=lambda: machine())
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def as_table(self) -> str:
        """Markdown, so that it can be pasted into a document as it is."""
        lines = [("measured", "value", "ratio", "target", "", "note"), *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        rendered = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return "\n".join([f"{self.bench}, {self.date}, {self.machine}", versions, "", *rendered])


def machine() -> str:
    """Processor, cores that this process may use, memory, system, Python; and how busy it is with other things too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{_processor()}, {cores} cores, {memory_gib:.0f} GiB, {platform.system()}, {python}, {load}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
