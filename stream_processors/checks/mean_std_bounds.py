"""The mean or the standard deviation of a field."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import (
    Check,
    FieldFigure,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import (
    NUMBERS,
    bounds_problem,
    demand,
    fields_problem,
    named,
    profile_cell,
)
from headrace.stream_processors.sketches.moments import Moments


class MeanStdBounds(Check):
    """The mean or standard deviation of a window's values; exact but for rounding."""

    name = "mean_std_bounds"
    dimension = Dimension.ACCURACY
    unit = Unit.VALUE
    summary = "mean or standard deviation within bounds"
    needs_fields = 1

    class Model(Parameters):
        """Parameters."""

        of: Literal["mean", "std"] = Field(default="mean", description="Which of the two the bounds are for.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number or the rule has no bounds."""
        return fields_problem(rule, kinds, NUMBERS) or bounds_problem(rule)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's moments."""
        return {rule.fields[0]: frozenset({FieldFigure.MOMENTS})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        what = "mean" if given(self.Model, rule).of == "mean" else "standard deviation"
        return f"the {what} of {named(rule)} must be {demand(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the mean or standard deviation."""
        found = profile_cell(view, rule.fields[0], FieldFigure.MOMENTS, Moments)
        if not found.n:
            return not_checked(f"no values of {named(rule)}" if view.rows else "no rows", view.rows)
        observed = found.mean if given(self.Model, rule).of == "mean" else found.std
        detail = f"{named(rule)} has mean {found.mean:.6g} and standard deviation {found.std:.6g}"
        return against_bounds(rule, observed, rows=view.rows, at_risk=found.n, detail=detail)
