"""Records that stand in the wrong order."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import WINDOW, Check, Verdict, View, given, not_checked, share_verdict
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

_MOST_RUNS: Final = 5_000
_TOO_MANY: Final = "too many keys"
_BY: Final = [WINDOW, "file", "key"]


class OutOfOrder(Check):
    """How many records are earlier than the one before them of the same file, key and window.

    The state is one run a batch, file and key: its first and last place and time, and the steps back within it; so the
    step between two batches is counted whatever the order in which their states meet.
    """

    name = "out_of_order"
    dimension = Dimension.TIMELINESS
    unit = Unit.PERCENT
    summary = "records with an event time before that of the record before them"
    order_bound = True

    class Model(TimeParameters):
        """Its parameters."""

        key: list[str] = Field(default=[], description="Fields whose values are ordered each by itself: the device.")
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
        back = (pl.col("time").shift(1).over(_BY) - pl.col("time")) > self._limit(rule)
        ends = [pl.col(name).first().alias(f"{name}_1") for name in ("row", "time")]
        ends += [pl.col(name).last().alias(f"{name}_2") for name in ("row", "time")]
        runs = rows.with_columns(back=back).group_by(_BY).agg(*ends, pl.col("back").sum(), pl.len().alias("rows"))
        text = pl.concat_str(["file", "key", "row_1", "row_2", "time_1", "time_2", "back"], separator="\t")
        found = runs.select(WINDOW, "rows", text.alias("run")).group_by(WINDOW).agg("run", "rows")
        return {start: {"runs": _tally(texts, counts)} for start, texts, counts in found.iter_rows()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        by = ", ".join(given(self.Model, rule).key) or "file"
        return f"{demand(rule)} of the records may be earlier by {time_name(rule)} than the one before in their {by}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of steps back."""
        runs = view.cells.get("runs")
        if not isinstance(runs, Tally) or not runs.counts:
            return not_checked(f"no record has {time_name(rule)}" if view.rows else "no rows", view.rows)
        if _TOO_MANY in runs.counts:
            return not_checked(f"more than {_MOST_RUNS} keys in one batch", view.rows)
        by_key: defaultdict[tuple[str, str], list[list[int]]] = defaultdict(list)
        for text in runs.counts:
            file, key, *numbers = text.split("\t")
            by_key[file, key].append([int(number) for number in numbers])
        failed, limit = 0, self._limit(rule)
        for found in by_key.values():
            failed += sum(run[4] for run in found)
            failed += sum(left[3] - right[2] > limit for left, right in pairwise(sorted(found)))
        return share_verdict(rule, failed, sum(runs.counts.values()), "are earlier than the one before them")


def _tally(texts: list[str], counts: list[int]) -> Tally:
    return Tally(dict(zip(texts, counts, strict=True)) if len(texts) <= _MOST_RUNS else {_TOO_MANY: sum(counts)})
