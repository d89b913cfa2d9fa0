"""python -m benchmarks.drift: how often the drift checks are wrong on stable windows, and which shifts they find.

Pure computation on resampled real columns, seeded; `--markdown` prints the tables of docs/guide/drift.md.
"""

import argparse
import statistics
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.drift_data import Source, sources
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.adwin import Adwin, scaled
from headrace.stream_processors.checks.base import FieldFigure, Outcome, View

SEED: Final = 2013
ROWS: Final = (200, 1_000, 10_000)
STABLE: Final = 1_000
TRIALS: Final = 25
EARLIER: Final = 24
"""Windows before the first shifted one: the reference, and the history of metrics."""
LEARNT: Final = 200
"""Stable metrics that ADWIN has seen before a shift."""
AFTER: Final = 24
"""Shifted windows that follow one another, in which a shift may be found."""
MISSING: Final = 0.0245
"""The share of flights of 2013 without dep_time."""
_HOUR, _WEEK = 3_600, 604_800


@dataclass(frozen=True)
class Shift:
    """A change of a stated size. `of` makes the shifted source, or the shifted share or rate of rows from the old."""

    name: str
    of: Callable[[Any], Any]


@dataclass(frozen=True)
class Subject:
    """A check on a column, and the shifts it is shown."""

    check: str
    column: str
    shifts: tuple[Shift, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the check, the column and the parameters."""
        listed = " ".join(f"{key}={value}" for key, value in self.parameters.items() if key != "metric")
        return " ".join(part for part in (self.check, self.column, listed) if part)

    @property
    def rule(self) -> CheckRule:
        """Return the rule."""
        fields = () if self.check == "volume_anomaly" else (self.column,)
        return CheckRule(self.check, self.check, fields, self.parameters)


def _each(sizes: Sequence[float], name: str, of: Callable[..., Any]) -> tuple[Shift, ...]:
    return tuple(Shift(name.format(size), partial(of, size=size)) for size in sizes)


def _moved(source: Source, size: float) -> Source:
    return source.moved(size)


def _scaled(source: Source, size: float) -> Source:
    return source.scaled(size)


def _linear(source: Source, size: float) -> Source:
    return source.linear(size)


def _fahrenheit(source: Source) -> Source:
    return source.linear(1.8, 32)


def _with_new(source: Source, size: float) -> Source:
    return source.with_new(size / 100)


def _swapped(source: Source, size: float) -> Source:
    return source.swapped(size / 100)


def _points_more(share: float, size: float) -> float:
    return share + size / 100


def _percent_less(rows: float, size: float) -> float:
    return rows * (1 - size / 100)


MOVED: Final = _each((0.1, 0.25, 0.5, 1.0), "mean +{:g} std", _moved)
NUMBERS: Final = (*MOVED, *_each((1.5,), "spread x {:g}", _scaled))
UNITS: Final = (*_each((1000, 60, 1.609344), "x {:.4g}", _linear), Shift("/ 60", partial(_linear, size=1 / 60)))
CATEGORIES: Final = (*_each((1, 2, 5), "{:g} % new", _with_new), *_each((5, 10, 15), "{:g} % moved", _swapped))
MISSED: Final = _each((1, 2, 5), "+{:g} points", _points_more)
VOLUME: Final = (*_each((20, 50), "-{:g} %", _percent_less), Shift("silence", partial(_percent_less, size=100)))
SUBJECTS: Final = (
    *(Subject("psi_drift", name, NUMBERS) for name in ("dep_delay", "air_time", "distance")),
    Subject("psi_drift", "air_time", NUMBERS, {"threshold": 0.05}),
    Subject("quantile_bounds", "air_time", MOVED, {"reference": "trailing:P7D"}),
    Subject("unit_shift", "air_time", UNITS),
    Subject("unit_shift", "distance", UNITS),
    Subject("unit_shift", "temp", (Shift("1.8x + 32", _fahrenheit),)),
    Subject("category_drift", "carrier", CATEGORIES),
    Subject("category_drift", "origin", CATEGORIES),
    Subject("metric_anomaly", "dep_time", MISSED, {"metric": "null_rate"}),
    Subject("metric_anomaly", "air_time", MOVED, {"metric": "median"}),
    Subject("volume_anomaly", "", VOLUME),
)


@dataclass(frozen=True)
class Found:
    """What became of one shift: shares of trials in percent, delay in windows after the first shifted one."""

    name: str
    first: float
    within: float
    delay: float | None
    adwin: float
    adwin_delay: float | None
    both: float


@dataclass(frozen=True)
class Measured:
    """One check on one column with windows of one size."""

    subject: Subject
    rows: int
    alarms: int
    unknown: int
    adwin_alarms: int
    stable: int
    found: tuple[Found, ...]

    def f1(self, share: float, alarms: int) -> float:
        """Return F1 over the stable windows and one for each shifted trial, of which this share was found."""
        shifted = TRIALS * len(self.found)
        hits = share * shifted
        return 2 * hits / (shifted + hits + alarms) if hits else 0.0

    @property
    def scores(self) -> tuple[float, float, float, float]:
        """Return F1 of the check in the first window, of ADWIN in all 24, of always firing, and of never."""
        first = statistics.fmean(one.first for one in self.found) / 100
        adwin = statistics.fmean(one.adwin for one in self.found) / 100
        return self.f1(first, self.alarms), self.f1(adwin, self.adwin_alarms), self.f1(1.0, self.stable), 0.0


def measure(subject: Subject, rows: int, stable: int = STABLE, trials: int = TRIALS) -> Measured:
    """Return the figures of a check, the same for the same arguments."""
    rng = np.random.default_rng([SEED, rows, zlib.crc32(subject.name.encode())])
    world = _World(subject, rows, rng)
    outcomes, metrics = world.stable(stable)
    detector, adwin = Adwin(), 0
    for value in scaled(metrics, *_scale(metrics)):
        adwin += detector.update(value)
    return Measured(
        subject,
        rows,
        alarms=outcomes.count(Outcome.FAIL),
        unknown=outcomes.count(Outcome.NOT_CHECKED),
        adwin_alarms=adwin,
        stable=stable,
        found=tuple(
            _found(shift.name, [world.trial(shift, number) for number in range(trials)]) for shift in subject.shifts
        ),
    )


def _scale(usual: Sequence[float]) -> tuple[float, float]:
    """Return the median and the robust deviation of metrics."""
    middle = statistics.median(usual)
    return middle, 1.4826 * statistics.median(abs(value - middle) for value in usual) or abs(middle) * 0.01 or 1.0


Votes = list[tuple[bool, bool]]
"""By shifted window: whether the check fails, and whether ADWIN has seen the change in it."""


def _found(name: str, trials: Sequence[Votes]) -> Found:
    checks = [_first([check for check, _ in votes]) for votes in trials]
    adwins = [_first([adwin for _, adwin in votes]) for votes in trials]
    # A second vote agrees from the window on in which it sees the change.
    both = [
        _first([check and adwin is not None and at >= adwin for at, (check, _) in enumerate(votes)])
        for votes, adwin in zip(trials, adwins, strict=True)
    ]
    share = 100 / len(trials)
    hits, seen = [at for at in checks if at is not None], [at for at in adwins if at is not None]
    return Found(
        name,
        first=share * hits.count(0),
        within=share * len(hits),
        delay=statistics.median(hits) if hits else None,
        adwin=share * len(seen),
        adwin_delay=statistics.median(seen) if seen else None,
        both=share * sum(at is not None for at in both),
    )


def _first(votes: Sequence[bool]) -> int | None:
    return next((at for at, vote in enumerate(votes) if vote), None)


class _World:
    """Stable and shifted windows for one check."""

    def __init__(self, subject: Subject, rows: int, rng: np.random.Generator) -> None:
        self._rule, self._rows, self._rng = subject.rule, rows, rng
        self._check = check_named(subject.check)
        self._counted = subject.check == "volume_anomaly" or subject.parameters.get("metric") == "null_rate"
        self._usual: Any = sources()[subject.column] if not self._counted else (rows if not subject.column else MISSING)
        self._metric = bool(self._check.reads_history)
        self._usual_metrics: list[float] = []
        self._learnt = Adwin()

    def _windows(self, of: Any, count: int) -> list[View]:
        """Return the views of windows drawn from a source, a share of missing values, or a mean number of rows."""
        if not self._counted:
            figure = FieldFigure.QUANTILES if of.values.dtype.is_numeric() else FieldFigure.TOP
            name = self._rule.fields[0]
            return [
                View(0, _HOUR, self._rows, fields={name: {figure: cell}})
                for cell in of.windows(self._rng, self._rows, count)
            ]
        if self._rule.fields:
            nulls = self._rng.binomial(self._rows, of, size=count).tolist()
            return [View(0, _HOUR, self._rows, counts={"nulls": found}) for found in nulls]
        return [View(0, _HOUR, found) for found in self._rng.poisson(of, size=count).tolist()]

    def _verdict(self, view: View, reference: View | None, metrics: Sequence[float]) -> tuple[Outcome, float]:
        history = tuple((number * _WEEK, value) for number, value in enumerate(metrics))
        start = len(metrics) * _WEEK
        found = self._check.verdict(
            self._rule,
            View(
                start, start + _HOUR, view.rows, view.counts, fields=view.fields, history=history, reference=reference
            ),
        )
        return found.outcome, 0.0 if found.observed is None else found.observed

    def stable(self, count: int) -> tuple[list[Outcome], list[float]]:
        """Return the outcomes of stable windows, each against a reference of its own, and their metrics.

        Trials go on from the newest of these metrics.
        """
        outcomes, self._usual_metrics = self._stable(count)
        learnt = self._usual_metrics[-LEARNT:]
        for metric in scaled(learnt, *_scale(learnt)):
            self._learnt.update(metric)
        return outcomes, self._usual_metrics

    def _stable(self, count: int) -> tuple[list[Outcome], list[float]]:
        outcomes: list[Outcome] = []
        metrics: list[float] = []
        if self._metric:
            views = self._windows(self._usual, count + EARLIER)
            for view in views:
                outcome, value = self._verdict(view, None, metrics[-EARLIER:])
                outcomes.append(outcome)
                metrics.append(value)
            return outcomes[EARLIER:], metrics[EARLIER:]
        references = self._references(count)
        for view, reference in zip(self._windows(self._usual, count), references, strict=True):
            outcome, value = self._verdict(view, reference, ())
            outcomes.append(outcome)
            metrics.append(value)
        return outcomes, metrics

    def _references(self, count: int) -> list[View]:
        rows, self._rows = self._rows, self._rows * EARLIER
        try:
            return self._windows(self._usual, count)
        finally:
            self._rows = rows

    def trial(self, shift: Shift, number: int) -> Votes:
        """Return the votes on windows that are all shifted; the reference takes them up as they come."""
        after = self._windows(shift.of(self._usual), AFTER)
        start = number * EARLIER % (len(self._usual_metrics) - EARLIER + 1)
        votes, metrics = [], self._usual_metrics[start : start + EARLIER]
        detector, scale = copy(self._learnt), _scale(self._usual_metrics[-LEARNT:])
        reference = None if self._metric else self._references(1)[0]
        for view in after:
            outcome, value = self._verdict(view, reference, metrics[-EARLIER:] if self._metric else ())
            reference = None if reference is None else _merged(reference, view)
            metrics.append(value)
            votes.append((outcome is Outcome.FAIL, detector.update(scaled([value], *scale)[0])))
        return votes


def _merged(left: View, right: View) -> View:
    fields = {
        name: {figure: cell.merge(right.fields[name][figure]) for figure, cell in cells.items()}
        for name, cells in left.fields.items()
    }
    return View(0, _HOUR, left.rows + right.rows, fields=fields)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=main.__doc__)
    parser.add_argument("--markdown", action="store_true", help="only the tables, as docs/guide/drift.md has them")
    options = parser.parse_args()
    started = time.monotonic()
    measured = [measure(subject, rows) for subject in SUBJECTS for rows in ROWS]
    print("\n".join([*stable_table(measured), "", *shift_table(measured)]))
    if not options.markdown:
        print(f"\n{len(measured)} checks, columns and sizes in {time.monotonic() - started:.0f} s")


def stable_table(measured: Sequence[Measured]) -> list[str]:
    """Return the lines of the table of false alarms and F1."""
    head = f"fails of {STABLE:,} | not checked | ADWIN fires | F1: check | ADWIN | always | never"
    lines = [f"| check | rows | {head} |", "|---" * 9 + "|"]
    for one in measured:
        scores = " | ".join(f"{score:.2f}" for score in one.scores)
        figures = f"{one.rows:,} | {one.alarms} | {one.unknown:,} | {one.adwin_alarms} | {scores}"
        lines.append(f"| {one.subject.name} | {figures} |")
    return lines


def shift_table(measured: Sequence[Measured]) -> list[str]:
    """Return the lines of the table of shifts: each size of windows in its columns, ADWIN beside it."""
    sizes = " | ".join(f"{rows:,} rows | ADWIN | both" for rows in ROWS)
    lines = [f"| check | shift | {sizes} |", "|---" * (2 + 3 * len(ROWS)) + "|"]
    for subject in SUBJECTS:
        own = [one for one in measured if one.subject is subject]
        for number, shift in enumerate(subject.shifts):
            cells = " | ".join(shift_cells(one.found[number]) for one in own)
            lines.append(f"| {subject.name} | {shift.name} | {cells} |")
    return lines


def shift_cells(found: Found) -> str:
    """Return the cells of one shift with windows of one size: first window, all windows and delay; ADWIN; both."""
    check, adwin = _late(found.within, found.delay), _late(found.adwin, found.adwin_delay)
    return f"{found.first:.0f}, {check} | {adwin} | {found.both:.0f}"


def _late(share: float, delay: float | None) -> str:
    return f"{share:.0f}" if delay is None else f"{share:.0f} (+{delay:.0f})"


if __name__ == "__main__":
    main()
