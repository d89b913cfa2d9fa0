"""python -m benchmarks.learn results|speed: what the shipped learners reach, and how fast learners are."""

import argparse
import json
from pathlib import Path

from benchmarks.learn_chart import chart
from benchmarks.learn_results import SHIPPED, Result, river_table, storms, table, told_year
from benchmarks.learn_speed import speed
from benchmarks.machine import machine, save

CHART = Path("docs/guide/learners-year.svg")


def main() -> None:
    """Print the figures of the named part and save them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn", description=main.__doc__)
    parser.add_argument("part", choices=("results", "speed"))
    parser.add_argument("--learners", nargs="*", default=SHIPPED, help="which of the shipped learners (default all)")
    parser.add_argument("--rows", type=int, default=0, help="records of each at most (default all)")
    parser.add_argument("--chart", type=Path, default=CHART, help=f"where the picture goes (default {CHART})")
    options = parser.parse_args()
    if options.part == "speed":
        found = speed(options.rows or 300_000)
        print(json.dumps(found, indent=2))
        print(f"saved in {save(found | machine(), 'learn-speed')}")
        return
    results = [_told(name, options.rows) for name in options.learners]
    streams = river_table()
    print(streams)
    print(storms(options.rows))
    if curves := [one for one in results if one.learner in {"flights_delay", "flights_late"}]:
        options.chart.write_text(chart(curves))
        print(f"picture in {options.chart}")
    saved = {one.learner: {"rows": one.rows, "models": one.models, "turns": one.turns} for one in results}
    print(f"saved in {save(saved | machine(), 'learn')}")


def _told(name: str, rows: int) -> Result:
    result = told_year(name, rows)
    print(table(result), flush=True)
    return result


if __name__ == "__main__":
    main()
