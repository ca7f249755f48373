"""Measures what the service promises, against its peers, in one run on this machine: ratios count, not times."""

import argparse
import importlib
import sys
from pathlib import Path

from benches.report import Options, Report, Unmeasured

#: Each is a file of this name in `benches`, with a function `run(options) -> Report`.
BENCHES = ("templates", "delivery", "feedback", "pages", "scale")
BENCHES_DIR = Path(__file__).resolve().parent / "benches"


def main(arguments: list[str], benches_dir: Path = BENCHES_DIR) -> int:
    """Exit status: 0, 1 where something could not be measured, 2 for wrong usage, with a sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure what the service promises, against its peers, in one run.",
        epilog="Example: scripts/bench templates --peers",
    )
    parser.add_argument("bench", choices=BENCHES, nargs="?", default="templates", help="what is measured (%(default)s)")
    parser.add_argument(
        "--peers", action="store_true", help="also those of other languages; needs node, npm and a network"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    wanted = parser.parse_args(arguments)
    if not (benches_dir / f"{wanted.bench}.py").is_file():
        there = ", ".join(name for name in BENCHES if (benches_dir / f"{name}.py").is_file())
        print(f"error: there is no bench {wanted.bench} yet; there is {there}", file=sys.stderr)
        return 2
    try:
        report: Report = importlib.import_module(f"benches.{wanted.bench}").run(Options(with_peers=wanted.peers))
    except Unmeasured as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report.as_json() if wanted.json else report.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
