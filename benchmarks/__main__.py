"""python -m benchmarks: run the line, the wire floor and the naive version on this machine, and save the figures.

The line, the floor and the naive version run without learners, each when nothing else is left to do; a second line with
learners follows, and says what these take from it.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import floor, naive
from benchmarks.flights import write_rotated
from benchmarks.line import latency, settle, throughput
from benchmarks.machine import installed_mb, machine, save
from headrace.testing.line import RunningLine

NAIVE_ROWS = 100_000
WITHOUT_LEARNERS, WITH_LEARNERS = {"HEADRACE_LEARNERS": "false"}, {"HEADRACE_LEARNERS": "true"}


def main() -> None:
    """Run everything, print one table and save it as benchmarks/results/<time>.json."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    parser.add_argument("--copies", type=int, default=3, help="flights files, 336,776 rows each (default 3)")
    parser.add_argument("--only-line", action="store_true", help="leave out all but the line without learners")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    try:
        files = write_rotated(folder, options.copies + 1)
        with RunningLine(folder / "home"):
            print("first start done; the second one is timed ...", flush=True)
        started = time.monotonic()
        with RunningLine(folder / "home") as line:
            result: dict[str, Any] = {"stack": idle(line, time.monotonic() - started)}
        with RunningLine(folder / "measured", WITHOUT_LEARNERS) as line:
            result |= measure(line, folder, files, only_line=options.only_line)
        if not options.only_line:
            print("line with learners: the same files ...", flush=True)
            with RunningLine(folder / "learning", WITH_LEARNERS) as line:
                result["with_learners"] = throughput(line, files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result |= machine()
    show(result, save(result))


def idle(line: RunningLine, start_secs: float) -> dict[str, float]:
    """Return how long a second start took, the idle stack's memory, and the size of what is installed.

    The environment of a checkout holds the tools of its developers too.
    """
    environment = sum(path.lstat().st_size for path in Path(sys.prefix).rglob("*") if not path.is_dir())
    return {
        "second_start_s": round(start_secs, 1),
        "idle_memory_mb": round(line.status()["memory_bytes"] / 1e6),
        "installed_mb": installed_mb("headrace"),
        "environment_mb": round(environment / 1e6),
    }


def measure(line: RunningLine, folder: Path, files: Sequence[Path], *, only_line: bool) -> dict[str, Any]:
    """Return the figures of one run."""
    print(f"line: one file of flights to warm up, then {len(files) - 1} ...", flush=True)
    result: dict[str, Any] = {"line": throughput(line, files)}
    if only_line:
        return result
    settle(line)
    print("latency: 100 small files on the idle line ...", flush=True)
    result["latency"] = latency(line)
    rows = result["line"]["rows"]
    print("wire floor: the same values and headers, nothing else ...", flush=True)
    values = folder / "values.bin"
    floor.keep_values(line.settings, "flights.raw", rows, values)
    settle(line)
    result["floor_rows_per_s"] = round(floor.run(line.settings, values, rows))
    settle(line)
    print(f"naive: {NAIVE_ROWS:,} rows, one at a time ...", flush=True)
    result["naive_rows_per_s"] = round(naive.run(line.settings, files[0], NAIVE_ROWS))
    speed = result["line"]["rows_per_s"]
    result["of_floor"] = round(speed / result["floor_rows_per_s"], 3)
    result["times_naive"] = round(speed / result["naive_rows_per_s"], 1)
    return result


def show(result: dict[str, Any], saved: Path) -> None:
    """Print the figures as one table."""
    line = result["line"]
    print(f"\n{line['rows']:,} rows end to end in {line['seconds']} s: {line['rows_per_s']:,} rows/s")
    print(f"  the warm-up before, on a line just started: {line['cold_rows_per_s']:,} rows/s")
    for stage, speed in sorted(line["stage_rows_per_s"].items()):
        print(f"  {stage:<12} {speed:>10,} rows/s")
    if "of_floor" in result:
        print(f"wire floor     {result['floor_rows_per_s']:>10,} rows/s   line / floor {result['of_floor']:.0%}")
        print(f"naive          {result['naive_rows_per_s']:>10,} rows/s   line / naive {result['times_naive']} x")
        print(f"file closed -> row visible: p50 {result['latency']['p50_s']} s, p99 {result['latency']['p99_s']} s")
    show_processes(line)
    if "with_learners" in result:
        learning = result["with_learners"]
        change = learning["rows_per_s"] / line["rows_per_s"] - 1
        print(f"\nwith learners  {learning['rows_per_s']:>10,} rows/s ({change:+.1%})")
        show_processes(learning)
    stack = result["stack"]
    print(f"\nsecond start {stack['second_start_s']} s, idle stack {stack['idle_memory_mb']:,} MB, ", end="")
    print(f"installed {stack['installed_mb']:,} MB ({stack['environment_mb']:,} MB with developers' tools)")
    print(f"{result['cores']} cores, {result['memory_gib']} GiB, commit {result['commit']}; saved in {saved}")


def show_processes(line: Mapping[str, Any]) -> None:
    """Print what each process took."""
    print(f"\n{'process':<12} {'CPU s / million rows':>22} {'peak MB':>10}")
    for name, cpu in line["cpu_s_per_million_rows"].items():
        print(f"{name:<12} {cpu:>22} {line['peak_mb'][name]:>10}")


if __name__ == "__main__":
    main()
