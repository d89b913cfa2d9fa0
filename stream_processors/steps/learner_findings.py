"""What a learner found of records, by window: counts and losses, as messages of stage `learn`. Pure.

They add up in any order and any split, as all deltas do. Windows of event time are those of the records; what a learner
told at a time is in the window of arrival of that time, which whoever merges them knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.schemas.check_rules import WindowSpec
from headrace.stream_processors.checks.base import WINDOW
from headrace.stream_processors.checks.learned import (
    ALARMS,
    ANOMALOUS,
    ANOMALOUS_WEIGHT,
    LEARNED,
    LOSS,
    LOSS_WEIGHT,
    SCORED,
    SCORED_WEIGHT,
    SEEN,
    WEIGHT_UNIT,
    learner_owner,
)
from headrace.stream_processors.sketches.moments import LARGEST, Moments
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.delta_parts import window_parts
from headrace.stream_processors.steps.learn import Part
from headrace.stream_processors.steps.pins import facts_values
from headrace.stream_processors.steps.prequential import row_losses
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK, WindowDelta
from headrace.stream_processors.steps.windows import window_starts

_COUNTS: Final = (SEEN, SCORED, ANOMALOUS, SCORED_WEIGHT, ANOMALOUS_WEIGHT, LOSS_WEIGHT, ALARMS)
_SCHEMA: Final = pl.Schema(dict.fromkeys((WINDOW, *_COUNTS), pl.Int64()) | {LOSS: pl.Float64()})
Start = int | None
Array = NDArray[np.float64]


@dataclass
class Findings:
    """What was found since the last telling. `spec` None: no rule asks, and nothing is kept.

    With `quiet` records were told of before: by the learner as its file was then, whose figures stay what they are.
    """

    spec: WindowSpec | None = None
    quiet: bool = False
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _late: list[tuple[Start, int, int, float | None, int]] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Return True if what is found of the records at hand is to be told."""
        return self.spec is not None and not self.quiet

    def starts(self, frame: pl.DataFrame) -> list[Start]:
        """Return the window of event time of each record, None of one without; nothing of it is told by this."""
        return [None] * len(frame) if self.spec is None else window_starts(frame, self.spec).to_list()

    def passed_over(self, frame: pl.DataFrame) -> None:
        """Count records that were not taken into the sample."""
        if self.spec is not None and self.wanted and len(frame):
            self._frames.append(pl.DataFrame({WINDOW: window_starts(frame, self.spec), SEEN: 1}))

    def scored(self, frame: pl.DataFrame, weights: Sequence[float], parts: Sequence[Part], labels: "Labels") -> None:
        """Count records that were predicted, and learned where they have a label, in the order of the log."""
        if self.spec is None or not self.wanted or not len(frame):
            return
        milli = np.rint(np.asarray(weights) * WEIGHT_UNIT).astype(np.int64)
        columns: dict[str, Any] = {WINDOW: window_starts(frame, self.spec), SEEN: np.ones(len(frame), np.int64)}
        flags = [flag for part in parts for flag in part.flags]
        if flags:
            known = np.asarray([flag is not None for flag in flags], np.int64)
            hit = np.asarray([bool(flag) for flag in flags], np.int64)
            columns |= {SCORED: known, ANOMALOUS: hit, SCORED_WEIGHT: known * milli, ANOMALOUS_WEIGHT: hit * milli}
        places = [place for place, label in enumerate(labels.values) if label is not None]
        if places:
            predictions = [one for part in parts for one in part.predictions]
            each = np.full(len(frame), np.nan)
            losses = row_losses(
                [predictions[place] for place in places],
                [labels.values[place] for place in places],
                classes=labels.classes,
            )
            each[places] = _weighed(losses, np.asarray(weights)[places])
            judged = np.zeros(len(frame), np.int64)
            judged[places] = milli[places]
            columns |= {LOSS: each, LOSS_WEIGHT: judged, ALARMS: labels.alarms(places, len(frame))}
        self._frames.append(pl.DataFrame(columns).with_columns(pl.col(LOSS).fill_nan(None) if places else []))

    def settled(self, start: Start) -> None:
        """Count a record for which no label will come."""
        if self.wanted:
            self._late.append((start, 1, 0, None, 0))

    def learned(self, start: Start, weight: float, loss: float, *, alarm: bool) -> None:
        """Count a record whose label came later."""
        if self.wanted:
            lost = float(_weighed(np.asarray([loss]), np.asarray([weight]))[0])
            self._late.append((start, 1, round(weight * WEIGHT_UNIT), lost, int(alarm)))

    def deltas(self, learner: str) -> list[WindowDelta]:
        """Return what was found by window of event time, and all of it as one entry of arrival, whose start is 0."""
        frames = [*self._frames]
        if self._late:
            frames.append(pl.DataFrame(self._late, [WINDOW, SEEN, LOSS_WEIGHT, LOSS, ALARMS], orient="row"))
        if not frames:
            return []
        empty = pl.DataFrame(schema=_SCHEMA)
        aligned = [
            frame.cast({name: kind for name, kind in _SCHEMA.items() if name in frame.columns}) for frame in frames
        ]
        whole = pl.concat([empty, *aligned], how="diagonal")
        events = whole.filter(pl.col(WINDOW).is_not_null()).group_by(WINDOW).agg(_sums()).sort(WINDOW)
        owner = learner_owner(learner)
        found = [_delta(EVENT_CLOCK, row[WINDOW], owner, row) for row in events.iter_rows(named=True)]
        return [*found, _delta(ARRIVAL_CLOCK, 0, owner, whole.select(_sums()).row(0, named=True))]


@dataclass(frozen=True)
class Labels:
    """The labels of records, None where there is none yet, and what happened to the champion while they were learned.

    `since` labelled records were learned before; `champion` led then. `classes`: a label is a class, no number.
    """

    values: Sequence[Any]
    classes: bool = False
    turns: Sequence[Turn] = ()
    champion: str = ""
    since: int = 0

    def alarms(self, places: Sequence[int], rows: int) -> NDArray[np.int64]:
        """Return by record how often the champion's detector said at its label that the error has risen."""
        found = np.zeros(rows, np.int64)
        for turn in alarms_of(self.turns, self.champion):
            place = turn.rows - self.since - 1
            found[places[min(max(place, 0), len(places) - 1)]] += 1
        return found


def alarms_of(turns: Sequence[Turn], champion: str) -> list[Turn]:
    """Return the alarms about the champion, which may be another one after a promotion."""
    found = []
    for turn in turns:
        if turn.kind in {"promotion", "rollback"}:
            champion = turn.contender
        elif turn.kind == "drift" and turn.contender == champion:
            found.append(turn)
    return found


def _weighed(losses: Array, weights: Array) -> Array:
    found: Array = np.clip(np.nan_to_num(losses, nan=0.0, posinf=LARGEST) * weights, 0.0, LARGEST)
    return found


def _sums() -> list[pl.Expr]:
    lost = pl.col(LOSS)
    figures = [lost.count().alias("n"), lost.mean().alias("mean"), (lost.var(ddof=0) * lost.count()).alias("m2")]
    return [*(pl.col(name).sum() for name in _COUNTS), *figures]


def _delta(clock: str, start: int, owner: str, row: Mapping[str, Any]) -> WindowDelta:
    counts = {name: row[name] for name in _COUNTS if row[name]}
    cells = {LOSS: pack_cell(Moments(row["n"], row["mean"], row["m2"] or 0.0))} if row["n"] else {}
    return WindowDelta(clock, start, counts={owner: counts}, cells={owner: cells} if cells else {})


def finding_values(dataset: str, version: str, deltas: Sequence[WindowDelta], most_bytes: int) -> list[dict[str, Any]]:
    """Return the messages of stage `learn`, as profile_delta.avsc has them."""
    whole = facts_values(dataset, version, {}) | {"stage": LEARNED, "facts": ""}
    return [whole | {"windows": part} for part in window_parts(deltas, most_bytes)]
