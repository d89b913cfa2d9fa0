"""A closed window as quality.windows has it: verdicts, score, the profile of each field, and the merged state. Pure."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headrace.schemas.check_rules import Unit
from headrace.stream_processors.checks.base import FieldFigure, Verdict
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.lengths import Lengths
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.score import Judged, score
from headrace.stream_processors.steps.verdicts import Evaluated
from headrace.stream_processors.steps.window_state import Part, WindowState, field_owner

BINS: Final = 40
ALL_LEFT_OUT: Final = "*/*"
"""Named as left out where a record has no state at all, nor counts, charts and lists."""
FACTS_LEFT_OUT: Final = "*/facts"
"""Named as left out where a record lacks what was known beside rows too: receipts of files, totals, reasons."""
_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP, _SHAPES, _TEXT = 20, 10, 64
_MICROS = 1_000_000
_SPOKEN = {Unit.PERCENT: " %", Unit.ROWS: " rows", Unit.SECONDS: " s", Unit.VALUE: ""}
# What a masked field may show: how many, how long and in rows of which time, never which.
_SHOWN_MASKED = frozenset({"counts", "lengths", "seen_event", "seen_arrival"})


@dataclass(frozen=True)
class Closed:
    """A window at the moment it is closed or revised; `closed_at` is in microseconds since 1970."""

    dataset: str
    clock: str
    start: int
    end: int
    revision: int
    closed_at: int
    contract_version: str


def window_key(dataset: str, clock: str, start: int, revision: int) -> str:
    """Return the key of a message on quality.windows.

    >>> window_key("flights", "event", 3600, 0)
    'flights/event/3600/0'
    """
    return f"{dataset}/{clock}/{start}/{revision}"


def window_record(
    closed: Closed,
    state: WindowState,
    evaluated: Evaluated,
    fields: Sequence[str],
    *,
    masked: Collection[str] = (),
    critical: Collection[str] = (),
    problems: Sequence[str] = (),
    facts: str = "{}",
) -> dict[str, Any]:
    """Return the record of window.avsc. `problems` are reasons beside the rules' own why something was not checked.

    `facts` is the text of `window_facts`.
    """
    whole = state.merged()
    found = score(evaluated.judged, fields, critical)
    unmerged = [f"{owner}: {why}" for owner, why in sorted(whole.unmerged.items()) if owner.startswith("field:")]
    return {
        "dataset": closed.dataset,
        "clock": closed.clock,
        "start": closed.start * _MICROS,
        "end": closed.end * _MICROS,
        "revision": closed.revision,
        "closed_at": closed.closed_at,
        "contract_version": closed.contract_version,
        "rows": state.rows,
        "rejected": state.rejected,
        "score": found.total,
        "dimensions": dict(found.dimensions),
        "worst_field": found.worst_field,
        "worst_score": found.worst_score,
        "checked": found.checked,
        "not_checked": [*problems, *(hidden(text, masked, evaluated) for text in found.unchecked), *unmerged],
        "verdicts": [verdict_record(one, evaluated.demands[one.rule.id], masked) for one in evaluated.judged],
        "facts": facts,
    } | _state_of(state, whole, masked, evaluated)


def _state_of(state: WindowState, whole: Part, masked: Collection[str], evaluated: Evaluated) -> dict[str, Any]:
    """Return the profiles of a window, and its merged state, all of it."""
    shown = [name for name in state.field_names if field_owner(name) not in whole.unmerged]
    profiles = [field_profile(name, state.field_cells(name), masked=name in masked) for name in shown]
    return {
        "fields": profiles,
        **_span(profiles),
        "cells": list(_kept_cells(whole, masked, {one.rule.id: one.rule.fields for one in evaluated.judged})),
        "counts": {f"{rule}/{name}": count for rule, counts in whole.counts.items() for name, count in counts.items()},
        "left_out": [],
    }


def hidden(text: str, masked: Collection[str], evaluated: Evaluated) -> str:
    """Return a reason without its words where they may quote values of a masked field."""
    for one in evaluated.judged:
        if text.startswith(f"{one.rule.id}: ") and masked_rule(one, masked):
            return f"{one.rule.id}: {spoken(one, masked)}"
    return text


def masked_rule(one: Judged, masked: Collection[str]) -> bool:
    """Return True for a rule that looks at a field whose values are not shown."""
    return any(name in masked for name in one.rule.fields)


def spoken(one: Judged, masked: Collection[str]) -> str:
    """Return the verdict's sentence; of a masked field the figure alone, since a sentence may quote values."""
    verdict = one.verdict
    if not masked_rule(one, masked):
        return verdict.detail
    if verdict.observed is None:
        return "not checked; what it says of the values is not shown"
    return f"{verdict.observed:.6g}{_SPOKEN[one.rule.unit]} seen; values of {', '.join(one.rule.fields)} are not shown"


def verdict_record(one: Judged, demand: str, masked: Collection[str]) -> dict[str, Any]:
    """Return a verdict as window.avsc has it."""
    rule, verdict = one.rule, one.verdict
    bounds = verdict.bounds or rule.bounds
    return {
        "rule": rule.id,
        "check": rule.check,
        "field": ", ".join(rule.fields),
        "dimension": rule.dimension.value,
        "severity": rule.severity.value,
        "outcome": verdict.outcome.value,
        "observed": number(verdict.observed),
        "error": verdict.error if math.isfinite(verdict.error) else 0.0,
        "lower": number(bounds.lower) if bounds else None,
        "upper": number(bounds.upper) if bounds else None,
        "unit": rule.unit.value,
        "rows": verdict.rows,
        "rows_at_risk": verdict.rows_at_risk,
        "loss": one.loss,
        "weight": rule.weight,
        "detail": spoken(one, masked),
        "demand": demand,
    }


def number(value: float | None) -> float | None:
    """Return a finite number, None for any other: JSON and SQL have no words for them."""
    return float(value) if value is not None and math.isfinite(value) else None


def observed_of(verdict: Verdict) -> float | None:
    """Return what goes into the history of a rule."""
    return number(verdict.observed)


def field_profile(name: str, cells: Mapping[str, Cell], *, masked: bool = False) -> dict[str, Any]:
    """Return the profile of a field as window.avsc has it; of a masked one how many and how long alone."""
    shown = {figure: cell for figure, cell in cells.items() if not masked or figure in _SHOWN_MASKED}
    counts = cells.get(FieldFigure.COUNTS)
    distinct, moments = cells.get(FieldFigure.DISTINCT), shown.get(FieldFigure.MOMENTS)
    extremes, quantiles = shown.get(FieldFigure.EXTREMES), shown.get(FieldFigure.QUANTILES)
    lengths = shown.get(FieldFigure.LENGTHS)
    found = Extremes() if not isinstance(extremes, Extremes) else extremes
    texts = lengths.extremes if isinstance(lengths, Lengths) else Extremes()
    has_numbers = isinstance(moments, Moments) and moments.n > 0
    return {
        "name": name,
        "rows": counts["rows"] if isinstance(counts, Tally) else 0,
        "nulls": counts["nulls"] if isinstance(counts, Tally) else 0,
        "distinct": distinct.estimate if isinstance(distinct, Distinct) else None,
        "distinct_error": distinct.error if isinstance(distinct, Distinct) else 0.0,
        "mean": number(moments.mean) if isinstance(moments, Moments) and has_numbers else None,
        "std": number(moments.std) if isinstance(moments, Moments) and has_numbers else None,
        "minimum": found.low,
        "maximum": found.high,
        "quantiles": _quantiles(quantiles, found) if isinstance(quantiles, Quantiles) else {},
        "histogram": histogram(quantiles, found) if isinstance(quantiles, Quantiles) else [],
        "top": _frequent(shown.get(FieldFigure.TOP), _TOP),
        "shapes": _frequent(shown.get(FieldFigure.SHAPES), _SHAPES),
        "length_minimum": None if texts.low is None else int(texts.low),
        "length_maximum": None if texts.high is None else int(texts.high),
        **_seen(shown),
    }


def _seen(cells: Mapping[str, Cell]) -> dict[str, int | None]:
    """Return when a field was first and last there, by both times."""
    found: dict[str, int | None] = {}
    for clock, figure in (("event", FieldFigure.SEEN_EVENT), ("arrival", FieldFigure.SEEN_ARRIVAL)):
        cell = cells.get(figure)
        times = cell if isinstance(cell, Extremes) else Extremes()
        found[f"first_{clock}"] = None if times.low is None else int(times.low)
        found[f"last_{clock}"] = None if times.high is None else int(times.high)
    return found


def _span(fields: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """Return when the records of a window were first and last there, from when their fields were."""
    span: dict[str, int | None] = {}
    for name, pick in (("first_event", min), ("last_event", max), ("first_arrival", min), ("last_arrival", max)):
        span[name] = pick((one[name] for one in fields if one[name] is not None), default=None)
    return span


def _quantiles(found: Quantiles, extremes: Extremes) -> dict[str, float]:
    """Return quantiles by share; a sketch is within 1 % of the value, so it may be beyond the least or greatest one."""
    low, high = extremes.low, extremes.high
    values = {f"{share:g}": found.quantile(share) for share in _SHARES}
    if low is None or high is None:
        return {share: value for share, value in values.items() if value is not None}
    return {share: min(max(value, low), high) for share, value in values.items() if value is not None}


def _frequent(cell: Cell | None, most: int) -> list[dict[str, Any]]:
    """Return the most frequent values, each at least so often; what may be twice as often is not told."""
    if not isinstance(cell, Top):
        return []
    return [{"value": text[:_TEXT], "count": count} for text, count in cell.items()[:most] if count > cell.error]


def histogram(found: Quantiles, extremes: Extremes) -> list[dict[str, Any]]:
    """Return at most `BINS` bins of equal width from the least to the greatest number; their counts add up to all.

    A count is in the bin of the middle of its sketch bin, so an edge is as exact as the sketch: one percent.
    """
    bins = found.bins()
    if not bins:
        return []
    low = extremes.low if extremes.low is not None else bins[0][0]
    high = extremes.high if extremes.high is not None else bins[-1][1]
    if not math.isfinite(high - low) or high <= low:
        return [{"low": low, "high": high, "count": found.n}]
    size = min(BINS, len(bins))
    edges = np.linspace(low, high, size + 1)
    middles = np.array([left / 2 + right / 2 for left, right, _ in bins])
    places = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, size - 1)
    counts = np.bincount(places, np.array([count for _, _, count in bins]), size).astype(np.int64).tolist()
    ends = edges.tolist()
    return [{"low": ends[at], "high": ends[at + 1], "count": count} for at, count in enumerate(counts)]


def _kept_cells(whole: Part, masked: Collection[str], fields: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Yield the packed cells, least first, without those that hold values of masked fields."""
    found = [
        (owner, figure, data)
        for rule, cells in whole.cells.items()
        for owner, figure, data in ((rule, figure, data) for figure, data in cells.items())
        if not any(name in masked for name in fields.get(rule, ()))
    ]
    found += [
        (field_owner(name), figure, data)
        for name, cells in whole.fields.items()
        for figure, data in cells.items()
        if name not in masked or figure in _SHOWN_MASKED
    ]
    for owner, figure, data in sorted(found, key=lambda cell: (len(cell[2]), cell[:2])):
        yield {"owner": owner, "figure": figure, "data": data}


def fitted(record: dict[str, Any], most_bytes: int, framed: Callable[[dict[str, Any]], bytes]) -> tuple[bytes, int]:
    """Return a record as a message of at most `most_bytes`, and how many pieces were left out of it, greatest first.

    What is left out is named in the record. Without any cell it goes without charts and lists too, if it must, and at
    last without its facts: a longer window or a second look then does not know them.
    """
    data, cells = framed(record), list(record["cells"])
    kept = len(cells)
    while len(data) > most_bytes and kept:
        excess = len(data) - most_bytes
        while kept and excess > 0:
            kept -= 1
            excess -= len(cells[kept]["data"])
        left_out = [f"{cell['owner']}/{cell['figure']}" for cell in reversed(cells[kept:])]
        data = framed(record | {"cells": cells[:kept], "left_out": left_out})
    if len(data) > most_bytes:
        bare = [field | {"quantiles": {}, "histogram": [], "top": [], "shapes": []} for field in record["fields"]]
        least = record | {"cells": [], "counts": {}, "fields": bare, "left_out": [ALL_LEFT_OUT]}
        data = framed(least)
        if len(data) > most_bytes:
            data = framed(least | {"facts": "{}", "left_out": [ALL_LEFT_OUT, FACTS_LEFT_OUT]})
            return data, len(cells) + 1
    return data, len(cells) - kept
