"""Values far outside of where most of the reference lies."""

from collections.abc import Mapping

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, bounded, demand, fields_problem, named, profile_cell
from headrace.stream_processors.checks.drift import AgainstReference, reference_of
from headrace.stream_processors.sketches.quantiles import Quantiles

_MOST = Bounds(upper=1.0)


class OutlierRate(Check):
    """How many values lie beyond Tukey's fences of the reference: its quartiles and a multiple of their distance."""

    name = "outlier_rate"
    dimension = Dimension.ACCURACY
    unit = Unit.PERCENT
    summary = "values far outside of the reference's quartiles; decided only beyond the error of the fences"
    needs_fields = 1

    class Model(AgainstReference):
        """Parameters."""

        fence: float = Field(default=3.0, gt=0, description="Distance from the quartiles in interquartile ranges.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number, or the unit makes no sense."""
        if rule.unit is not Unit.PERCENT:
            return "a rate is in percent"
        return fields_problem(rule, kinds, NUMBERS)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's quantiles."""
        return {rule.fields[0]: frozenset({FieldFigure.QUANTILES})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        return f"{demand(rule, _MOST)} of {named(rule)} may be outliers against {values.reference}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of values outside."""
        fence, reference = given(self.Model, rule).fence, reference_of(view)
        if isinstance(reference, str):
            return not_checked(reference, view.rows)
        current = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        before = profile_cell(reference, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        low, high = before.quantile(0.25), before.quantile(0.75)
        if low is None or high is None or not current.n:
            return not_checked(f"no values of {named(rule)} {'in the reference' if current.n else 'here'}", view.rows)
        if low == high:
            return not_checked(f"half of the reference's values are {low:.6g}: they have no spread", view.rows)
        bottom, top = low - fence * (high - low), high + fence * (high - low)
        slack = (1 + fence) * (before.error(0.25) + before.error(0.75))
        most = _outside(current, bottom + slack, top - slack)
        least = _outside(current, bottom - slack, top + slack)
        share, error = 100 * _outside(current, bottom, top), 100 * (most - least) / 2
        outliers = round(share * current.n / 100)
        detail = f"about {outliers:,} of {current.n:,} values are outside of {bottom:.6g} to {top:.6g} ({share:.3g} %)"
        return bounded(rule, _MOST, share, rows=view.rows, at_risk=outliers, detail=detail, error=error)


def _outside(sample: Quantiles, low: float, high: float) -> float:
    """Return the share of values below `low` or above `high`."""
    return min(max(sample.share_below(low) + 1 - sample.share_below(high), 0.0), 1.0)
