"""python -m benchmarks.telemetry: what seeing through the line costs: telemetry on, or sampled, against off.

Two lines run side by side on fresh homes and take in the same files at the same time, one with telemetry and one
without: whatever the machine does meanwhile, it does to both. A turn of lines one after the other differs from the next
by up to half, which hides 5 %. On: every span, to the warehouse and by OTLP to a receiver that only keeps it, with all
logs and metrics. Sampled: one trace in ten. Off: OTEL_SDK_DISABLED, so neither spans nor OTLP, and only errors are
logged. Learners are left out. What counts is CPU seconds a million rows of all processes of a line together, as a ratio
to the line beside it: two cores that are full give so many rows as their seconds allow.
"""

import argparse
import math
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.flights import write_rotated
from benchmarks.line import WITHOUT_LEARNERS, timed, warm_up
from benchmarks.machine import machine, save
from headrace.testing.line import RunningLine
from headrace.testing.otlp import http_endpoint

SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
OFF = {"OTEL_SDK_DISABLED": "true", "HEADRACE_LOG_LEVEL": "error"}


def main() -> None:
    """Take turns, print what each mode costs beside the line without telemetry, and save it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=main.__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--copies", type=int, default=2, help="flights files, 336,776 rows each (default 2)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    pairs: dict[str, list[dict[str, float]]] = {"on": [], "sampled": []}
    try:
        files = write_rotated(folder, options.copies + 1)
        with http_endpoint() as (endpoint, _):
            on = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
            modes = {"on": on, "sampled": on | SAMPLED}
            for turn in range(options.turns):
                for mode, environment in modes.items():
                    # Who starts first changes from turn to turn.
                    order = {"off": OFF, mode: environment} if turn % 2 else {mode: environment, "off": OFF}
                    pair = side_by_side(folder / f"{mode}-{turn}", order, files)
                    pairs[mode].append(costs(pair[mode], pair["off"]))
                    print(f"turn {turn + 1} {mode:<8} {pairs[mode][-1]}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, Any] = {"rows_a_line": options.copies * 336_776, "pairs": pairs} | shown(pairs)
    print(save(result | machine(), "telemetry"))


def side_by_side(folder: Path, modes: dict[str, dict[str, str]], files: list[Path]) -> dict[str, dict[str, Any]]:
    """Return what two lines do with the same files at the same time, by mode."""
    (one, first), (other, second) = modes.items()
    with (
        RunningLine(folder / one, WITHOUT_LEARNERS | first) as a,
        RunningLine(folder / other, WITHOUT_LEARNERS | second) as b,
    ):
        lines = {one: a, other: b}
        _both(lines, lambda line: warm_up(line, files[0]))
        found = _both(lines, lambda line: timed(line, files[1:]))
    shutil.rmtree(folder)
    return found


def _both(lines: dict[str, RunningLine], work: Callable[[RunningLine], Any]) -> dict[str, Any]:
    """Do the same with both lines, beginning at the same moment."""
    with ThreadPoolExecutor(2) as threads:
        works = {name: threads.submit(work, line) for name, line in lines.items()}
    return {name: work.result() for name, work in works.items()}


def costs(told: dict[str, Any], silent: dict[str, Any]) -> dict[str, float]:
    """Return CPU seconds a million rows with and without telemetry, and the ratios of those and of the speeds."""
    cpu, without = (sum(one["cpu_s_per_million_rows"].values()) for one in (told, silent))
    return {
        "cpu_s": round(cpu, 2),
        "cpu_s_off": round(without, 2),
        "cpu_ratio": round(cpu / without, 4),
        "speed_ratio": round(told["rows_per_s"] / silent["rows_per_s"], 4),
    }


def shown(pairs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Print and return what each mode costs: the mean of the turns' ratios with its standard error."""
    found = {}
    for mode, turns in pairs.items():
        cost, error = mean_and_error([one["cpu_ratio"] - 1 for one in turns])
        found[mode] = {"cpu_cost": round(cost, 4), "error": round(error, 4)}
        print(f"{mode:<8} {cost:+.1%} ± {error:.1%} CPU seconds a row, {len(turns)} turns")
    return found


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error (nan of one value).

    >>> mean_and_error([1.0, 3.0])
    (2.0, 1.0)
    """
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


if __name__ == "__main__":
    main()
