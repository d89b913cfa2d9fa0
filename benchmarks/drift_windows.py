"""python -m benchmarks.drift_windows: a contract with a budget of false alarms, through the table of windows itself.

A thousand stable hours of real columns (rows drawn anew), then shifts of stated sizes, each from the same state on.
`--markdown` prints the table of docs/guide/drift.md. Seeded; no service is started.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from benchmarks.drift_data import Source as Column
from benchmarks.drift_data import sources
from headrace.schemas.contract import Contract, parse_contract
from headrace.stream_processors.checks.base import FieldFigure
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.window_law import Laws, law_of
from headrace.stream_processors.window_plan import Source
from headrace.stream_processors.window_table import WindowTable
from headrace.testing.window_line import write_entries

SEED: Final = 2013
STABLE: Final = 1_000
TRIALS: Final = 10
AFTER: Final = 12
"""Shifted windows in which a shift may be found."""
ROWS: Final = 1_000
MISSING: Final = 0.0245
_HOUR, _MICROS, _FIRST = 3_600, 1_000_000, 1_700_000_000 // 604_800 * 604_800
CONTRACT: Final = """
apiVersion: v3.1.0
kind: DataContract
id: hours
version: "1"
status: active
customProperties:
  - {property: headrace.falseAlarms, value: {atMost: 1, per: P7D}}
schema:
  - name: hours
    customProperties:
      - {property: headrace.timeField, value: at}
      - {property: window, value: PT1H}
      - {property: allowedLateness, value: PT0S}
    quality:
      - {id: rows, type: custom, engine: headrace, implementation: "check: volume_anomaly"}
    properties:
      - {name: at, logicalType: timestamp, required: true}
      - name: air_time
        logicalType: number
        quality:
          - {id: distribution, type: custom, engine: headrace, implementation: "check: psi_drift"}
          - id: median
            type: custom
            engine: headrace
            implementation: "check: quantile_bounds\\nreference: hour_of_week\\natMost: 0.2"
          - {id: unit, type: custom, engine: headrace, implementation: "check: unit_shift"}
      - name: carrier
        logicalType: string
        quality:
          - id: carriers
            type: custom
            engine: headrace
            implementation: "check: category_drift\\nreference: hour_of_week"
      - name: dep_time
        logicalType: integer
        quality:
          - {id: missing, type: custom, engine: headrace, implementation: "check: metric_anomaly\\nmetric: null_rate"}
"""


@dataclass(frozen=True)
class World:
    """What hours are drawn from; a shift is another world."""

    air_time: Column
    carrier: Column
    missing: float = MISSING
    rows: float = ROWS

    def hour(self, rng: np.random.Generator, start: int) -> dict[str, Any]:
        """Return one hour as a delta has it, by event time."""
        rows = int(rng.poisson(self.rows))
        nulls = int(rng.binomial(rows, self.missing))
        cells = {
            ("air_time", FieldFigure.QUANTILES): self.air_time.windows(rng, rows, 1)[0],
            ("carrier", FieldFigure.TOP): self.carrier.windows(rng, rows, 1)[0],
            ("dep_time", FieldFigure.COUNTS): Tally({"rows": rows, "nulls": nulls}),
        }
        fields = {name: {figure.value: pack_cell(cell)} for (name, figure), cell in cells.items()}
        counted = {"missing": {"nulls": nulls}}
        return {"clock": "event", "start": start, "rows": rows, "rejected": 0, "counts": counted, "cells": {}} | {
            "fields": fields
        }


Shifted = Callable[[World], World]
SHIFTS: Final[Mapping[str, tuple[str, Shifted]]] = {
    "air_time +0.1 std": ("distribution, median", lambda w: replace(w, air_time=w.air_time.moved(0.1))),
    "air_time +0.25 std": ("distribution, median", lambda w: replace(w, air_time=w.air_time.moved(0.25))),
    "air_time +0.5 std": ("distribution, median", lambda w: replace(w, air_time=w.air_time.moved(0.5))),
    "air_time spread x 1.5": ("distribution", lambda w: replace(w, air_time=w.air_time.scaled(1.5))),
    "air_time x 60": ("unit", lambda w: replace(w, air_time=w.air_time.linear(60))),
    "carrier 2 % new": ("carriers", lambda w: replace(w, carrier=w.carrier.with_new(0.02))),
    "carrier 5 % new": ("carriers", lambda w: replace(w, carrier=w.carrier.with_new(0.05))),
    "carrier 10 % moved": ("carriers", lambda w: replace(w, carrier=w.carrier.swapped(0.10))),
    "dep_time +2 points missing": ("missing", lambda w: replace(w, missing=w.missing + 0.02)),
    "dep_time +5 points missing": ("missing", lambda w: replace(w, missing=w.missing + 0.05)),
    "rows -20 %": ("rows", lambda w: replace(w, rows=w.rows * 0.8)),
    "rows -50 %": ("rows", lambda w: replace(w, rows=w.rows * 0.5)),
}


class Table:
    """A window table with its entries in a dict, fed hour by hour."""

    def __init__(self, contract: Contract, entries: Mapping[str, bytes] | None = None, hour: int = 0) -> None:
        self._laws: Laws = {(contract.dataset, contract.version): law_of(contract)}
        self._contract, self.entries, self.hour = contract, dict(entries or {}), hour
        self._table = WindowTable(self.entries)
        self._table.recover()

    def feed(self, world: World, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
        """Add an hour; yield the windows that it closes."""
        start = _FIRST + self.hour * _HOUR
        delta = {"dataset": self._contract.dataset, "file": "f" * 16, "name": "", "stage": "judge", "rows": 0}
        delta |= {"contract_version": self._contract.version, "windows": [world.hour(rng, start)]}
        plan = self._table.plan(Source(0, self.hour, (start + _HOUR) * _MICROS), delta, self._laws)
        self.hour += 1
        if plan is None:
            return
        write_entries(plan, self.entries)
        self._table.keep(plan)
        yield from plan.windows


@dataclass(frozen=True)
class Stable:
    """What stable hours gave: failed and undecided verdicts by rule, and the state from which shifts go on."""

    windows: int
    failed: Counter[str]
    unknown: Counter[str]
    table: Table
    world: World


@dataclass(frozen=True)
class Found:
    """How often a shift was found, in percent: in its first window, within all; after how many windows (median)."""

    name: str
    by: str
    first: float
    within: float
    delay: float | None
    rules: Counter[str] = field(default_factory=Counter)


def contract() -> Contract:
    """Return the contract with its budget."""
    return parse_contract(CONTRACT, "hours")


def world() -> World:
    """Return stable hours: the real columns."""
    found = sources()
    return World(found["air_time"], found["carrier"])


def stable(windows: int = STABLE) -> Stable:
    """Return what so many stable hours give, after the first ones from which a rule learns what is usual."""
    rng, usual, table = np.random.default_rng(SEED), world(), Table(contract())
    failed: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    seen = 0
    while seen < windows:
        for window in table.feed(usual, rng):
            seen += 1
            failed.update(one["rule"] for one in window["verdicts"] if one["outcome"] == "fail")
            unknown.update(one["rule"] for one in window["verdicts"] if one["outcome"] == "not_checked")
    return Stable(seen, failed, unknown, table, usual)


def shifted(before: Stable, name: str, trials: int = TRIALS) -> Found:
    """Return how often one of the rules that a shift is for finds it, from the stable state on."""
    wanted, change = SHIFTS[name]
    rules = set(wanted.split(", "))
    delays: list[int | None] = []
    told: Counter[str] = Counter()
    for trial in range(trials):
        rng = np.random.default_rng([SEED, trial, len(name)])
        # The last stable hour is still open: the next one closes it, and has no part in the trial.
        table = Table(contract(), before.table.entries, before.table.hour)
        failing = enumerate(failed & rules for failed in _failing(table, change(before.world), rng))
        delay, by = next(((at, failed) for at, failed in failing if failed), (None, set[str]()))
        delays.append(delay)
        told.update(by)
    hits = [delay for delay in delays if delay is not None]
    share = 100 / trials
    median = statistics.median(hits) if hits else None
    return Found(name, wanted, share * hits.count(0), share * len(hits), median, told)


def _failing(table: Table, changed: World, rng: np.random.Generator) -> Iterator[set[str]]:
    """Yield the rules that fail in each shifted window."""
    first = table.hour
    for _ in range(AFTER + 1):
        for window in table.feed(changed, rng):
            if window["start"] >= (_FIRST + first * _HOUR) * _MICROS:
                yield {one["rule"] for one in window["verdicts"] if one["outcome"] == "fail"}


def table_lines(found: Sequence[Found]) -> list[str]:
    """Return the lines of the table of shifts."""
    lines = ["| shift | rules for it | in the first window | within 12 | delay in windows |", "|---|---|---|---|---|"]
    for one in found:
        delay = "-" if one.delay is None else f"{one.delay:g}"
        lines.append(f"| {one.name} | {one.by} | {one.first:.0f} % | {one.within:.0f} % | {delay} |")
    return lines


def stable_line(found: Stable) -> str:
    """Return what stable hours gave, in a sentence."""
    rules, allowed = len(contract().checks), found.windows / 168
    told = f"{found.windows:,} stable hours, {rules} rules: {found.failed.total()} false alarms"
    return f"{told}, where the budget of one a week allows {allowed:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_windows", description=main.__doc__)
    parser.add_argument("--markdown", action="store_true", help="only what docs/guide/drift.md has")
    options = parser.parse_args()
    started = time.monotonic()
    before = stable()
    print("\n".join([f"{stable_line(before)}.", "", *table_lines([shifted(before, name) for name in SHIFTS])]))
    if not options.markdown:
        print(f"\nfalse alarms by rule: {dict(before.failed)}; not checked: {dict(before.unknown)}")
        print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
