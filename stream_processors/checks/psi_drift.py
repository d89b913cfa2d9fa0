"""Numbers that are distributed otherwise than before."""

from collections.abc import Mapping

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, demand, fields_problem, named, profile_cell
from headrace.stream_processors.checks.drift import DriftParameters, drift_verdict, noise_psi, psi, reference_of
from headrace.stream_processors.sketches.quantiles import Quantiles


class PsiDrift(Check):
    """The population stability index of a field against its reference, with a noise floor by the numbers of rows."""

    name = "psi_drift"
    dimension = Dimension.CONSISTENCY
    unit = Unit.VALUE
    summary = "numbers distributed otherwise than in the reference (PSI above a bound and a noise floor)"
    needs_fields = 1

    class Model(DriftParameters):
        """Parameters."""

        bins: int = Field(default=10, ge=2, le=100, description="Bins of about equal reference counts.")
        threshold: float = Field(
            default=0.2, gt=0, description="PSI above which it fails; 0.1 is a small shift, 0.2 a clear one."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number."""
        return fields_problem(rule, kinds, NUMBERS)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's quantiles."""
        return {rule.fields[0]: frozenset({FieldFigure.QUANTILES})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        bound = demand(rule, Bounds(upper=values.threshold))
        return f"the distribution of {named(rule)} may differ from {values.reference} by a PSI of {bound}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the index."""
        values, reference = given(self.Model, rule), reference_of(view)
        if isinstance(reference, str):
            return not_checked(reference, view.rows)
        current = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        before = profile_cell(reference, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        if not current.n or not before.n:
            return not_checked(f"no values of {named(rule)} {'here' if before.n else 'in the reference'}", view.rows)
        observed, bins = psi(before, current, values.bins)
        floor = noise_psi(bins, before.n, current.n, values.chance)
        median, other = current.quantile(0.5), before.quantile(0.5)
        detail = f"PSI {observed:.3g} (noise floor {floor:.2g}); median {median:.6g}, in the reference {other:.6g}"
        return drift_verdict(rule, values.threshold, observed, floor, rows=view.rows, detail=detail)
