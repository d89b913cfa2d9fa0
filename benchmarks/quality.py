"""python -m benchmarks.quality: what checks and windows cost, how soon windows close, what they take in memory."""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks import quality_contracts
from benchmarks.flights import write_rotated
from benchmarks.line import WITHOUT_LEARNERS, throughput
from benchmarks.machine import machine, save
from benchmarks.quality_load import Load
from headrace.core.child import wait_until
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import PROFILES, WINDOWS
from headrace.testing.line import RunningLine, wait_for
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import Message, read_topic

PARTS = ("cost", "closing", "memory")
_MINUTES = 60


def main() -> None:
    """Measure the named parts (all of them by default), print the figures, and save them beside those of the line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=main.__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} (default all)")
    parser.add_argument("--copies", type=int, default=2, help="flights files, 336,776 rows each (default 2)")
    parser.add_argument("--datasets", type=int, default=500, help="datasets of 50 fields for `memory` (default 500)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    chosen, result = options.parts or PARTS, dict[str, Any]()
    if "cost" in chosen:
        result["cost"] = cost(options.copies)
    if "closing" in chosen:
        result["closing"] = closing_delays()
    if "memory" in chosen:
        result["memory"] = memory(options.datasets)
    result |= machine()
    print(json.dumps(result, indent=2))
    print(f"saved in {save(result, 'quality')}")


def cost(copies: int) -> dict[str, Any]:
    """Return the judge's CPU seconds for a million rows under each contract, and the share that quality takes of it."""
    cpu, speed = dict[str, float](), dict[str, int]()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    try:
        files = write_rotated(folder, copies + 1)
        for name in quality_contracts.CONTRACTS:
            print(f"cost: {copies + 1} files of flights, contract {name} ...", flush=True)
            home = quality_contracts.with_contract(folder / name, name)
            with RunningLine(home, WITHOUT_LEARNERS) as line:
                found = throughput(line, files)
            cpu[name], speed[name] = found["cpu_s_per_million_rows"]["judge"], found["rows_per_s"]
            shutil.rmtree(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shares = {name: round(1 - cpu["bare"] / cpu[name], 3) for name in cpu if name != "bare"}
    return {"judge_cpu_s_per_million_rows": cpu, "rows_per_s": speed, "share_of_judge": shares}


def closing_delays() -> dict[str, Any]:
    """Return the seconds from the delta that lets the watermark pass a window's end to the window on its topic.

    Both times are the broker's. Windows of a minute, a file of 50 rows for each of 60 minutes.
    """
    contract = """
apiVersion: v3.1.0
kind: DataContract
id: ticks
version: 1.0.0
status: active
schema:
  - name: ticks
    customProperties: [{property: headrace.timeField, value: at}, {property: window, value: PT1M}]
    properties: [{name: at, logicalType: timestamp}, {name: reading, logicalType: number}]
"""
    print(f"closing: {_MINUTES} files, a minute of event time each ...", flush=True)
    with RunningLine(environment=WITHOUT_LEARNERS) as line:
        contracts = line.settings.paths().contracts
        contracts.mkdir(exist_ok=True)
        (contracts / "ticks.odcs.yaml").write_text(contract)
        first = datetime(2026, 1, 1, tzinfo=UTC)
        for minute in range(_MINUTES):
            moments = [first + timedelta(minutes=minute, seconds=second) for second in range(50)]
            rows = "".join(f"{moment:%Y-%m-%dT%H:%M:%SZ},{second}\n" for second, moment in enumerate(moments))
            line.drop("ticks", f"{minute}.csv", f"at,reading\n{rows}".encode())
            line.final_receipts("ticks", minute + 1)
        wait_for(lambda: len(_event_windows(line)) >= _MINUTES - 1, 60.0, lambda: "windows to close")
        delays = sorted(_delays(line))
    return {
        "windows": len(delays),
        "p50_s": delays[len(delays) // 2],
        "p99_s": delays[math.ceil(0.99 * len(delays)) - 1],
    }


def _event_windows(line: RunningLine) -> list[tuple[dict[str, Any], Message]]:
    found = _read(line, WINDOWS, "window")
    return [(one, message) for one, message in found if one["clock"] == "event" and one["revision"] == 0]


def _delays(line: RunningLine) -> list[float]:
    passed: dict[int, int] = {}
    for delta, message in _read(line, PROFILES, "profile_delta"):
        for window in delta["windows"]:
            if window["clock"] == "event":
                passed.setdefault(window["start"], message.published_at_ms)
    ends = {int(one["end"].timestamp()): message.published_at_ms for one, message in _event_windows(line)}
    return [round((told - passed[end]) / 1000, 3) for end, told in ends.items() if end in passed]


def _read(line: RunningLine, topic: str, name: str) -> list[tuple[dict[str, Any], Message]]:
    found = []
    with closing(Registry(line.settings)) as registry:
        for message in read_topic(line.settings.kafka_client(), topic):
            writer = registry.text_of(schema_id_of(message.value) or 0)
            assert writer is not None
            found.append((read_system(name, message.value, writer), message))
    return [(one, message) for one, message in found if one["dataset"] == "ticks"]


def memory(datasets: int) -> dict[str, Any]:
    """Return the memory of the quality app itself with two open and two closed windows of every dataset.

    Every dataset has 50 fields, 50 rules and deltas of batches of 2,000 rows on both clocks.
    """
    with EmbeddedStack(("kafka", "registry")) as stack:
        load = Load(stack.settings, datasets)
        app = subprocess.Popen(
            [sys.executable, "-m", "headrace.stream_processors.quality_app"], env=load.environment(), cwd=Path.cwd()
        )
        try:
            process, before = psutil.Process(app.pid), 0
            for step in range(load.windows):
                print(f"memory: window {step + 1} of {load.windows}, {datasets} datasets ...", flush=True)
                load.publish(step)
                started = time.monotonic()
                wait_until(load.caught_up, 1_800, every_secs=0.5)
                before = max(before, process.memory_info().rss)
                print(f"  merged after {time.monotonic() - started:.0f} s more, {before / 1e6:.0f} MB", flush=True)
            return {
                "datasets": datasets,
                "fields": load.fields,
                "deltas": load.published,
                "rss_mb": round(before / 1e6),
            }
        finally:
            app.terminate()
            app.wait(60)


if __name__ == "__main__":
    main()
