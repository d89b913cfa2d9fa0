"""python -m benchmarks: run the line, the wire floor and the naive version on this machine, and save the figures.

The line, the floor and the naive version take turns, without learners, each when nothing else is left to do; medians
are told. A second line with learners follows, and says what these take from it.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import floor, naive
from benchmarks.flights import write_rotated
from benchmarks.line import WITH_LEARNERS, WITHOUT_LEARNERS, latency, settle, throughput, timed, warm_up
from benchmarks.machine import installed_mb, machine, save
from benchmarks.quality_contracts import CONTRACTS, with_contract
from headrace.testing.line import RunningLine

NAIVE_ROWS = 100_000


def main() -> None:
    """Run everything, print one table and save it as benchmarks/results/<time>.json."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    parser.add_argument("--copies", type=int, default=3, help="flights files a round, 336,776 rows each (default 3)")
    parser.add_argument("--contract", choices=CONTRACTS, default="shipped", help="of flights (default shipped)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of line, floor and naive version (default 3)")
    parser.add_argument("--only-line", action="store_true", help="leave out all but the line without learners")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    try:
        rounds = 0 if options.only_line else options.rounds
        files = write_rotated(folder, options.copies * max(rounds, 1) + 1)
        with RunningLine(folder / "home"):
            print("first start done; the second one is timed ...", flush=True)
        started = time.monotonic()
        with RunningLine(folder / "home") as line:
            result: dict[str, Any] = {"stack": idle(line, time.monotonic() - started)}
        with RunningLine(with_contract(folder / "measured", options.contract), WITHOUT_LEARNERS) as line:
            result |= measure(line, folder, files, rounds)
        if rounds:
            print("line with learners: as many files ...", flush=True)
            with RunningLine(with_contract(folder / "learning", options.contract), WITH_LEARNERS) as line:
                result["with_learners"] = throughput(line, files[: options.copies + 1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result |= machine() | {"contract": options.contract}
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


def measure(line: RunningLine, folder: Path, files: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Return the figures of one line. A machine is not equally fast for long: all three take turns, and medians count.

    Without `rounds` the line alone runs, once.
    """
    print("line: one file of flights to warm up ...", flush=True)
    cold, values = warm_up(line, files[0]), folder / "values.bin"
    result: dict[str, Any] = {"rounds": []}
    turns = [files[1 + turn :: max(rounds, 1)] for turn in range(max(rounds, 1))]
    for number, turn in enumerate(turns):
        print(f"line, round {number + 1}: {len(turn)} files ...", flush=True)
        found: dict[str, Any] = {"line": timed(line, turn)}
        if rounds:
            if not number:
                floor.keep_values(line.settings, "flights.raw", found["line"]["rows"], values)
            speed = found["line"]["rows_per_s"]
            found |= beside(line, values, files[0], found["line"]["rows"])
            found["of_floor"] = round(speed / found["floor_rows_per_s"], 3)
            found["times_naive"] = round(speed / found["naive_rows_per_s"], 1)
        result["rounds"].append(found)
    middle = sorted(result["rounds"], key=lambda one: one["line"]["rows_per_s"])[len(turns) // 2]
    result["line"] = {"cold_rows_per_s": cold} | middle["line"]
    if rounds:
        for name in ("floor_rows_per_s", "naive_rows_per_s", "of_floor", "times_naive"):
            result[name] = statistics.median(one[name] for one in result["rounds"])
        settle(line)
        print("latency: 100 small files on the idle line ...", flush=True)
        result["latency"] = latency(line)
    return result


def beside(line: RunningLine, values: Path, file: Path, rows: int) -> dict[str, float]:
    """Return the speeds of the floor and of the naive version, each while the line rests, just after its own run."""
    settle(line)
    print("  wire floor: the same values and headers, nothing else ...", flush=True)
    found: dict[str, float] = {"floor_rows_per_s": round(floor.run(line.settings, values, rows))}
    settle(line)
    print(f"  naive: {NAIVE_ROWS:,} rows, one at a time ...", flush=True)
    found["naive_rows_per_s"] = round(naive.run(line.settings, file, NAIVE_ROWS))
    settle(line)
    return found


def show(result: dict[str, Any], saved: Path) -> None:
    """Print the figures as one table."""
    line = result["line"]
    print(f"\n{line['rows']:,} rows end to end in {line['seconds']} s: {line['rows_per_s']:,} rows/s")
    print(f"  the warm-up before, on a line just started: {line['cold_rows_per_s']:,} rows/s")
    for stage, speed in sorted(line["stage_rows_per_s"].items()):
        print(f"  {stage:<12} {speed:>10,} rows/s")
    if "of_floor" in result:
        each = [
            f"{one['line']['rows_per_s']:,} ({one['of_floor']:.0%}, {one['times_naive']} x)" for one in result["rounds"]
        ]
        print(f"wire floor     {result['floor_rows_per_s']:>10,} rows/s   line / floor {result['of_floor']:.0%}")
        print(f"naive          {result['naive_rows_per_s']:>10,} rows/s   line / naive {result['times_naive']} x")
        print(f"rounds: {', '.join(each)}")
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
