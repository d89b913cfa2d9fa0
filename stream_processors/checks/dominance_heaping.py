"""One value, or one last digit, that comes far too often."""

from collections.abc import Mapping
from typing import Final, Literal

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, FieldFigure, Parameters, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, bounded, demand, fields_problem, named, profile_cell
from headrace.stream_processors.sketches.top import Top

_BOUNDS: Final = {"value": Bounds(upper=95.0), "last_digit": Bounds(upper=30.0)}
_LEAST_ROWS: Final = 50


class DominanceHeaping(Check):
    """The share of the most frequent value, or of the most frequent last digit, which rounding by hand makes high."""

    name = "dominance_heaping"
    dimension = Dimension.CONSISTENCY
    unit = Unit.PERCENT
    summary = "share of the most frequent value, or of one last digit (rounded by hand)"
    needs_fields = 1

    class Model(Parameters):
        """Parameters."""

        of: Literal["value", "last_digit"] = Field(default="value", description="Whose share is looked at.")
        decimals: int = Field(default=0, ge=0, le=6, description="Decimal places that a value is written with.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field has no digits, or the unit makes no sense."""
        if rule.unit is not Unit.PERCENT:
            return "a share is in percent"
        digits = given(self.Model, rule).of == "last_digit"
        return fields_problem(rule, kinds, NUMBERS if digits else frozenset(Kind))

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's most frequent values."""
        digits = given(self.Model, rule).of == "last_digit"
        return {} if digits else {rule.fields[0]: frozenset({FieldFigure.TOP})}

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return how often each last digit comes."""
        values = given(self.Model, rule)
        if values.of == "value":
            return {}
        scaled = pl.col(rule.fields[0]).cast(pl.Float64).fill_nan(None).abs() * 10**values.decimals
        digit = (scaled + 0.5).floor() % 10
        return {f"digit_{number}": (digit == number).sum() for number in range(10)}

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return the counts of last digits in ClickHouse."""
        values = given(self.Model, rule)
        if values.of == "value":
            return None
        digit = f"floor(abs(toFloat64({identifier(rule.fields[0])})) * {10**values.decimals} + 0.5) % 10"
        return {f"digit_{number}": f"countIf({digit} = {number})" for number in range(10)}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        of = given(self.Model, rule).of
        what = "the same value" if of == "value" else "the same last digit"
        return f"{demand(rule, _BOUNDS[of])} of {named(rule)} may have {what}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the greatest share."""
        of = given(self.Model, rule).of
        top = profile_cell(view, rule.fields[0], FieldFigure.TOP, Top)
        listed = top.items() if of == "value" else [(f"{n}", view.counts.get(f"digit_{n}", 0)) for n in range(10)]
        total, unsure = (top.total, top.error) if of == "value" else (sum(count for _, count in listed), 0)
        if not view.rows or not total:
            return not_checked(f"no values of {named(rule)}" if view.rows else "no rows", view.rows)
        if total < _LEAST_ROWS:
            return not_checked(f"{total} values are too few for shares, {_LEAST_ROWS} are needed", view.rows)
        text, count = max(listed, key=lambda item: item[1], default=("", 0))
        # A count may lack up to `unsure`: the share is in the middle, its error on both sides.
        share, error = 100 * (count + unsure / 2) / total, 100 * unsure / 2 / total
        words = f'"{text}"' if of == "value" else f"the last digit {text}"
        detail = f"{count:,} of {total:,} values of {named(rule)} have {words} ({share:.3g} %)"
        return bounded(rule, _BOUNDS[of], share, rows=view.rows, at_risk=count, detail=detail, error=error)
