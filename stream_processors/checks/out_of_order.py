"""Records that stand in the wrong order."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import WINDOW, Check, Verdict, View, against_bounds, given, not_checked
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import (
    MICROS,
    TimeParameters,
    key_text,
    micros_of,
    names_problem,
    time_field,
    time_name,
    time_problem,
)
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.tally import Tally

# A run is a third of a KB: more of them would not fit into one message, and days of batches not into memory.
_MOST_RUNS: Final = 250
_SAMPLED: Final = 17
_TOO_MANY: Final = "too many keys"
_BY: Final = [WINDOW, "file", "key"]


class OutOfOrder(Check):
    """How many records are earlier than another that came before them, of the same file, key and window.

    The state is one run a batch, file and key: its place, its latest time, the records that are late within it, and 17
    times out of those of the others. So the records that are late because of an earlier batch are counted, too, in
    whatever order the states meet: exactly, or with an error where two batches of more than 17 overlap in time.
    """

    name = "out_of_order"
    dimension = Dimension.TIMELINESS
    unit = Unit.PERCENT
    summary = "records with an event time before the latest so far of their key"
    order_bound = True

    class Model(TimeParameters):
        """Its parameters."""

        key: list[str] = Field(
            default=[],
            description="Fields whose values are ordered each by itself, e.g. the device; at most 250 a batch.",
        )
        tolerance_secs: float = Field(default=0.0, ge=0, description="Seconds that a record may step back.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no time, or a key is unknown."""
        return time_problem(rule, kinds) or names_problem(given(self.Model, rule).key, kinds)

    def _limit(self, rule: CheckRule) -> int:
        return round(given(self.Model, rule).tolerance_secs * MICROS)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the runs of each window, as texts."""
        key = given(self.Model, rule).key
        own = key_text(key).str.replace_all("\t", " ") if key else pl.lit("")
        time = micros_of(time_field(rule)).alias("time")
        rows = batch.select(WINDOW, pl.col("_file").alias("file"), own.alias("key"), pl.col("_row").alias("row"), time)
        rows = rows.drop_nulls().sort("file", "row")
        late = (pl.col("time").cum_max().shift(1).over(_BY) - pl.col("time")) > self._limit(rule)
        kept = pl.col("time").filter(~pl.col("late")).sort()
        sampled = kept.gather(
            (pl.int_range(_SAMPLED) * (kept.len() - 1) // (_SAMPLED - 1)).unique(maintain_order=True)
        ).cast(pl.String)
        figures = [pl.col("row").first(), pl.col("time").max(), pl.col("late").sum(), pl.len().alias("rows")]
        runs = rows.with_columns(late=late.fill_null(value=False)).group_by(_BY).agg(*figures, sampled.alias("kept"))
        run = pl.concat_str(["file", "key", "row", "time", "late", pl.col("kept").list.join(",")], separator="\t")
        found = runs.select(WINDOW, "rows", run.alias("run")).group_by(WINDOW).agg("run", "rows")
        return {start: {"runs": _tally(texts, counts)} for start, texts, counts in found.iter_rows()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        by = ", ".join(given(self.Model, rule).key) or "file"
        return f"{demand(rule)} of the records may be earlier by {time_name(rule)} than one before them in their {by}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of late records."""
        runs = view.cells.get("runs")
        if not isinstance(runs, Tally) or not runs.counts:
            return not_checked(f"no record has {time_name(rule)}" if view.rows else "no rows", view.rows)
        if _TOO_MANY in runs.counts:
            return not_checked(f"more than {_MOST_RUNS} keys in one batch", view.rows)
        failed, error = _late(runs, self._limit(rule))
        rows = sum(runs.counts.values())
        scale = 100.0 / rows if rule.unit is Unit.PERCENT else 1.0
        detail = f"{failed:,.0f} of {rows:,} are earlier than one before them"
        return against_bounds(
            rule, failed * scale, rows=view.rows, at_risk=round(failed), detail=detail, error=error * scale
        )


def _late(runs: Tally, limit: int) -> tuple[float, float]:
    """Return how many records are late, and by how much that may be wrong."""
    by_key: defaultdict[tuple[str, str], list[tuple[int, int, int, int, list[int]]]] = defaultdict(list)
    for text, rows in runs.counts.items():
        file, key, row, time, late, kept = text.split("\t")
        by_key[file, key].append((int(row), int(time), int(late), rows, [int(other) for other in kept.split(",")]))
    failed = error = 0.0
    for found in by_key.values():
        latest: int | None = None
        for _, last, own, count, sampled in sorted(found):
            below, wrong = (0.0, 0.0) if latest is None else _below(latest - limit, sampled, count - own)
            failed, error = failed + own + below, error + wrong
            latest = last if latest is None else max(latest, last)
    return failed, error


def _below(time: int, sampled: list[int], count: int) -> tuple[float, float]:
    """Return how many of `count` times are below one, from a sorted sample of them, and by how much it may be wrong."""
    ranks = sorted({place * (count - 1) // (_SAMPLED - 1) for place in range(_SAMPLED)})
    place = bisect_left(sampled, time)
    if place in {0, len(sampled)}:
        return (0.0 if place == 0 else float(count)), 0.0
    least, most = ranks[place - 1] + 1, ranks[place]
    return (least + most) / 2, (most - least) / 2


def _tally(texts: list[str], counts: list[int]) -> Tally:
    return Tally(dict(zip(texts, counts, strict=True)) if len(texts) <= _MOST_RUNS else {_TOO_MANY: sum(counts)})
