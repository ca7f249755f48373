"""Benchmarks: measure what the service promises beside its peers, in one run on this machine; ratios count."""

import argparse
import importlib
import sys

from benches.report import Options, Report, Unmeasured

#: The modules of `benches` that have a function `run(options) -> Report`.
BENCHES = ("templates", "delivery", "feedback", "pages", "scale")


def main(arguments: list[str]) -> int:
    """Run a bench and print its report. Exit status: 0; 1 where something could not be measured; 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure what the service promises, against its peers, in one run.",
        epilog="Example: scripts/bench templates --peers",
    )
    parser.add_argument("bench", choices=BENCHES, nargs="?", default="templates", help="what is measured (%(default)s)")
    parser.add_argument(
        "--peers", action="store_true", help="also peers that must be installed; needs node, npm and a network"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    try:
        report: Report = importlib.import_module(f"benches.{options.bench}").run(Options(with_peers=options.peers))
    except Unmeasured as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report.as_json() if options.json else report.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
