"""Instruments that say the same all the time."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, bounded, demand, fields_problem, named, own_cell
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.runs import Runs

_RUNS = "runs"
_SHOWN = 3


class StuckValue(Check):
    """How many records are in runs of one and the same value that are longer than allowed, by key and within a file."""

    name = "stuck_value"
    dimension = Dimension.ACCURACY
    unit = Unit.ROWS
    summary = "records in runs of the same value that are longer than allowed, by key"
    needs_fields = 1
    order_bound = True

    class Model(Parameters):
        """Parameters."""

        longest: int = Field(ge=1, description="Longest run of equal values that is allowed; missing ones are skipped.")
        key: list[str] = Field(default=[], description="Fields that name the instrument; none: all records are one's.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is no number or a key field unknown."""
        unknown = [name for name in given(self.Model, rule).key if name not in kinds]
        return f'key field "{unknown[0]}" is not in the contract' if unknown else fields_problem(rule, kinds, NUMBERS)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the runs by window."""
        values = given(self.Model, rule)
        found = Runs.by_window(batch, rule.fields[0], values.key, values.longest)
        return {start: {_RUNS: cell} for start, cell in found.items()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        each = f" of the same {', '.join(values.key)}" if values.key else ""
        return f"{demand(rule)} records{each} may repeat {named(rule)} more than {values.longest} times in a row"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number of records in long runs."""
        cell = own_cell(view, _RUNS, Runs)
        runs = cell.longest()
        if not runs:
            return not_checked(f"no values of {named(rule)}" if view.rows else "no rows", view.rows)
        stuck = sorted(((beyond, key, longest) for key, (longest, beyond) in runs.items() if beyond), reverse=True)
        records = sum(beyond for beyond, *_ in stuck)
        if not stuck and not cell.complete:
            return not_checked(f"more than {len(runs):,} keys; none of those looked at is stuck", view.rows)
        worst = "; ".join(f"{key or named(rule)} {longest:,} times" for _, key, longest in stuck[:_SHOWN])
        detail = f"{len(stuck):,} of {len(runs):,} keys repeat a value{f': {worst}' if worst else ' too often'}"
        return bounded(rule, Bounds(upper=0.0), float(records), rows=view.rows, at_risk=records, detail=detail)
