"""Numbers of a sequence that are missing."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import (
    WINDOW,
    Check,
    Outcome,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand, fields_problem
from headrace.stream_processors.checks.timing import MICROS, MOMENTS, key_text, micros_of, micros_sql, names_problem
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.intervals import Intervals


class SequenceGap(Check):
    """How many numbers, or steps of time, are missing between the first and the last of each key in a window.

    What is missing between two windows is in neither. Past 64 gaps a key they are estimated. Only 256 keys are held:
    with more it can fail, but not pass.
    """

    name = "sequence_gap"
    dimension = Dimension.COVERAGE
    unit = Unit.VALUE
    summary = "missing numbers (or steps of time) of a sequence, by key"
    needs_fields = 1

    class Model(Parameters):
        """Its parameters."""

        key: list[str] = Field(default=[], description="Fields that tell sequences apart, e.g. the device.")
        step_secs: int = Field(
            default=0, ge=0, description="For timestamps and dates: seconds between two of them, e.g. 86400."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no sequence, or a key is unknown."""
        chosen = given(self.Model, rule)
        allowed = MOMENTS if chosen.step_secs else (Kind.WHOLE,)
        return fields_problem(rule, kinds, allowed) or names_problem(chosen.key, kinds)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the ranges seen in each window."""
        chosen, name = given(self.Model, rule), rule.fields[0]
        number = micros_of(name) // (chosen.step_secs * MICROS) if chosen.step_secs else pl.col(name)
        key = key_text(chosen.key) if chosen.key else pl.lit("")
        rows = batch.select(WINDOW, key.alias("key"), number.alias("number"))
        found = Intervals.by_window(rows, "key" if chosen.key else None, "number")
        return {start: {"seen": cell} for start, cell in found.items()}

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return the missing numbers of one sequence in ClickHouse; several cannot be told apart in one aggregate."""
        chosen, name = given(self.Model, rule), rule.fields[0]
        if chosen.key:
            return None
        step = chosen.step_secs * MICROS
        number = f"intDiv({micros_sql(name)}, {step})" if step else f"toInt64({identifier(name)})"
        missing = f"max({number}) - min({number}) + 1 - uniqExact({number})"
        return {"numbers": f"count({number})", "missing": f"ifNull({missing}, 0)"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        by = ", ".join(given(self.Model, rule).key)
        return f"{demand(rule)} numbers of {rule.fields[0]} may be missing{f' in each {by}' if by else ''}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the count of missing numbers."""
        seen, name = view.cells.get("seen"), rule.fields[0]
        if not isinstance(seen, Intervals):
            if not view.counts.get("numbers"):
                return not_checked(f"no record has {name}" if view.rows else "no rows", view.rows)
            seen = Intervals()
        gaps = seen.gaps()
        error = seen.blurred / 2
        missing = sum(gaps.values()) + view.counts.get("missing", 0) + error
        worst = max(gaps, key=lambda key: gaps[key], default="")
        detail = f"{missing:,.0f} numbers of {name} are missing" + (f", most of them of {worst}" if worst else "")
        found = against_bounds(rule, missing, rows=view.rows, at_risk=round(missing), detail=detail, error=error)
        if found.outcome is Outcome.PASS and not seen.complete:
            return not_checked(f"{name} has too many sequences; of those held, {detail}", view.rows)
        return found
