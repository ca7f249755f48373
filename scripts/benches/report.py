"""The report of a bench: rows of one run, with the machine and the versions that they hold for."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


class Unmeasured(Exception):
    """A bench could not be measured: a program is missing, or gave a wrong result; the message names it."""


@dataclass(frozen=True)
class Options:
    """`with_peers` adds the peers that must be installed; `effort` scales durations and counts, small in tests."""

    with_peers: bool = False
    effort: float = 1.0


@dataclass(frozen=True)
class Row:
    """One measurement: `value` in `unit`, its `ratio` to `ratio_to`, and its target, where it has one."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_to: str = ""
    target: str = ""
    is_met: bool | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:,.2f} x {self.ratio_to}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        return (self.name, f"{_number(self.value)} {self.unit}", ratio, self.target, verdict, self.note)


@dataclass(frozen=True)
class Report:
    """All rows of one bench, with the versions of what was measured, the machine and the date (UTC)."""

    bench: str
    rows: tuple[Row, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = field(default_factory=lambda: machine())
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def as_table(self) -> str:
        """A table in Markdown, aligned, below one line with the machine and one with the versions."""
        lines = [("measured", "value", "ratio", "target", "", "note"), *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        rendered = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return "\n".join([f"{self.bench}, {self.date}, {self.machine}", versions, "", *rendered])


def machine() -> str:
    """Processor, cores that this process may use, memory, system, Python and load average."""
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
