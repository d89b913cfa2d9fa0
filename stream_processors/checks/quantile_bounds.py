"""A quantile of a field."""

from collections.abc import Mapping

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
from headrace.stream_processors.sketches.quantiles import Quantiles


class QuantileBounds(Check):
    """The value below which a share of a window's values lies, within one percent of it."""

    name = "quantile_bounds"
    dimension = Dimension.ACCURACY
    unit = Unit.VALUE
    summary = "a quantile, e.g. the median, within bounds; decided only beyond its error of 1 %"
    needs_fields = 1

    class Model(Parameters):
        """Parameters."""

        quantile: float = Field(default=0.5, ge=0, le=1, description="Share of values below it: 0.5 is the median.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number or the rule has no bounds."""
        return fields_problem(rule, kinds, NUMBERS) or bounds_problem(rule)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's quantiles."""
        return {rule.fields[0]: frozenset({FieldFigure.QUANTILES})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        share = 100 * given(self.Model, rule).quantile
        return f"the value of {named(rule)} below which {share:g} % of all lie must be {demand(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the quantile, beyond its error."""
        found = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        q = given(self.Model, rule).quantile
        observed = found.quantile(q)
        if observed is None:
            return not_checked(f"no values of {named(rule)}" if view.rows else "no rows", view.rows)
        detail = f"{100 * q:g} % of {found.n:,} values of {named(rule)} are below {observed:.6g}"
        return against_bounds(rule, observed, rows=view.rows, at_risk=found.n, detail=detail, error=found.error(q))
