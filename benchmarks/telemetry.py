"""python -m benchmarks.telemetry: what seeing through the line costs: telemetry on, sampled and off, in turns.

Each turn is a line on a fresh home: one file of flights to warm it up, then `--copies` files that are timed. On: every
span, to the warehouse and by OTLP to a receiver that only keeps it, with all logs and metrics. Sampled: one trace in
ten. Off: OTEL_SDK_DISABLED, so neither spans nor OTLP, and only errors are logged. Learners are left out: what they
take of two cores differs from turn to turn by more than telemetry costs. The median of the turns counts; CPU seconds a
million rows, of all processes together, are steadier than rows a second.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.flights import write_rotated
from benchmarks.line import throughput
from benchmarks.machine import machine, save
from headrace.testing.line import RunningLine
from headrace.testing.receiver import receiver

SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
OFF = {"OTEL_SDK_DISABLED": "true", "HEADRACE_LOG_LEVEL": "error"}
ALWAYS = {"HEADRACE_LEARNERS": "false"}


def main() -> None:
    """Take turns, print each mode's rows a second and what it costs, and save them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=main.__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--copies", type=int, default=2, help="flights files, 336,776 rows each (default 2)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    speeds: dict[str, list[float]] = {"off": [], "sampled": [], "on": []}
    cpu: dict[str, list[float]] = {mode: [] for mode in speeds}
    rows = 0
    try:
        files = write_rotated(folder, options.copies + 1)
        with receiver(200) as (endpoint, _):
            on = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
            modes = {"off": OFF, "sampled": on | SAMPLED, "on": on}
            for turn in range(options.turns):
                for mode in modes if turn % 2 == 0 else reversed(modes):
                    with RunningLine(folder / f"{mode}-{turn}", ALWAYS | modes[mode]) as line:
                        found = throughput(line, files)
                    shutil.rmtree(folder / f"{mode}-{turn}", ignore_errors=True)
                    rows = found["rows"]
                    speeds[mode].append(found["rows_per_s"])
                    cpu[mode].append(round(sum(found["cpu_s_per_million_rows"].values()), 1))
                    print(f"turn {turn + 1} {mode:<8} {found['rows_per_s']:>10,} rows/s {cpu[mode][-1]} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(rows, speeds, cpu)


def show(rows: int, speeds: dict[str, list[float]], cpu: dict[str, list[float]]) -> None:
    """Print and save the medians."""
    medians = {mode: statistics.median(found) for mode, found in speeds.items()}
    costs = {mode: round(1 - found / medians["off"], 3) for mode, found in medians.items()}
    for mode, found in medians.items():
        used = statistics.median(cpu[mode])
        print(
            f"{mode:<8} {found:>10,.0f} rows/s  {costs[mode]:+.1%}   {used:.1f} CPU s / million rows   {speeds[mode]}"
        )
    result: dict[str, Any] = {"rows_a_turn": rows, "rows_per_s": speeds, "median": medians, "cost": costs, "cpu": cpu}
    print(save(result | machine(), "telemetry"))


if __name__ == "__main__":
    main()
