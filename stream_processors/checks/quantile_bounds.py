"""A quantile of a field: its value, or how far it has moved from a reference."""

import math
from collections.abc import Mapping

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
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
from headrace.stream_processors.checks.drift import REFERENCE, drift_verdict, reference_of
from headrace.stream_processors.checks.noise import CHANCE, LEAST_CHANCE, deviations
from headrace.stream_processors.sketches.quantiles import Quantiles

_SHIFT = 0.3
"""How far a quantile may move where a rule with a reference says nothing, in widths of the reference's middle half: the
0.4 deviations of a normal distribution, near the PSI of 0.2 that is the bound of `psi_drift`."""


class QuantileBounds(Check):
    """The value below which a share of a window's values lies, within one percent of it; or its shift."""

    name = "quantile_bounds"
    dimension = Dimension.ACCURACY
    unit = Unit.VALUE
    summary = "a quantile, e.g. the median, within bounds; or, with a reference, how far it moved"
    needs_fields = 1

    class Model(Parameters):
        """Parameters."""

        quantile: float = Field(default=0.5, ge=0, le=1, description="Share of values below it: 0.5 is the median.")
        reference: str = Field(
            default="",
            pattern=f"^$|{REFERENCE}",
            description="With one (trailing:P7D, hour_of_week, pinned:NAME) the bound is on how far the quantile moved "
            "from that of the reference, up or down, in widths of the reference's middle half; 0.3 without a bound.",
        )
        chance: float = Field(
            default=CHANCE,
            ge=LEAST_CHANCE,
            le=0.05,
            description="With a reference: share of stable windows that may fail by chance; a contract's false-alarm "
            "budget sets it for all.",
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number, or that a rule without a reference has no bounds."""
        unbound = "" if given(self.Model, rule).reference else bounds_problem(rule)
        return fields_problem(rule, kinds, NUMBERS) or unbound

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's quantiles."""
        return {rule.fields[0]: frozenset({FieldFigure.QUANTILES})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        share = 100 * values.quantile
        if values.reference:
            bound = demand(rule, Bounds(upper=_SHIFT))
            return (
                f"the value of {named(rule)} below which {share:g} % of all lie may have moved from {values.reference} "
                f"by {bound} of the width of the middle half"
            )
        return f"the value of {named(rule)} below which {share:g} % of all lie must be {demand(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the quantile, beyond its error; with a reference on its shift."""
        if given(self.Model, rule).reference:
            return self._shift(rule, view)
        found = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        q = given(self.Model, rule).quantile
        observed = found.quantile(q)
        if observed is None:
            return not_checked(f"no values of {named(rule)}" if view.rows else "no rows", view.rows)
        detail = f"{100 * q:g} % of {found.n:,} values of {named(rule)} are below {observed:.6g}"
        return against_bounds(rule, observed, rows=view.rows, at_risk=found.n, detail=detail, error=found.error(q))

    def _shift(self, rule: CheckRule, view: View) -> Verdict:
        values, reference = given(self.Model, rule), reference_of(view)
        if isinstance(reference, str):
            return not_checked(reference, view.rows)
        current = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        before = profile_cell(reference, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        new, old = current.quantile(values.quantile), before.quantile(values.quantile)
        low, high = before.quantile(0.25), before.quantile(0.75)
        if new is None or old is None or low is None or high is None:
            return not_checked(f"no values of {named(rule)} {'here' if before.n else 'in the reference'}", view.rows)
        width = high - low
        if width <= 0:
            why = f"the middle half of {named(rule)} is one value in the reference: it has no width to measure by"
            return not_checked(why, view.rows)
        floor = _by_chance(current, before, values.quantile, values.chance) / width
        told = f"{100 * values.quantile:g} % lie below {new:.6g}, in the reference below {old:.6g}"
        detail = f"{told}: {abs(new - old) / width:.3g} of the middle half's width (noise floor {floor:.2g})"
        return drift_verdict(rule, _SHIFT, abs(new - old) / width, floor, rows=view.rows, detail=detail)


def _by_chance(current: Quantiles, before: Quantiles, q: float, chance: float) -> float:
    """Return by how much chance alone moves a quantile of so many values, and the sketch on both sides."""
    far = deviations(chance, before.n) * math.sqrt(q * (1 - q) * (1 / current.n + 1 / before.n))
    middle = before.quantile(q) or 0.0
    ends = (before.quantile(min(max(q + by, 0.0), 1.0)) for by in (-far, far))
    spread = max(abs((end or 0.0) - middle) for end in ends)
    return spread + current.error(q) + before.error(q)
