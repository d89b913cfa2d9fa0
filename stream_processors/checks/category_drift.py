"""Categories in other shares than before, or never seen before."""

import math
from collections.abc import Mapping

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Outcome, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import demand, fields_problem, named, profile_cell
from headrace.stream_processors.checks.drift import (
    OTHER,
    DriftParameters,
    drift_verdict,
    js_divergence,
    noise_js,
    reference_of,
    shares,
)
from headrace.stream_processors.checks.noise import poisson_above
from headrace.stream_processors.sketches.top import Top

_MOST_OTHER = 0.5


class CategoryDrift(Check):
    """The Jensen-Shannon distance of a field's categories from the reference, and the share of unseen ones."""

    name = "category_drift"
    dimension = Dimension.CONSISTENCY
    unit = Unit.VALUE
    summary = "categories in other shares than in the reference (Jensen-Shannon), or unseen there"
    needs_fields = 1

    class Model(DriftParameters):
        """Parameters."""

        threshold: float = Field(default=0.1, gt=0, le=1, description="Distance above which it fails, 0 to 1.")
        unseen: float = Field(
            default=0.01, ge=0, le=1, description="Greatest share of values that the reference never had."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field has no categories."""
        return fields_problem(rule, kinds, frozenset({Kind.TEXT, Kind.WHOLE, Kind.BOOLEAN, Kind.DATE}))

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's most frequent values."""
        return {rule.fields[0]: frozenset({FieldFigure.TOP})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        bound = demand(rule, Bounds(upper=values.threshold))
        unseen = f"{100 * values.unseen:g} % of its values may be new"
        return f"the shares of {named(rule)} may be {bound} away from {values.reference}, and {unseen}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on unseen values, then on the distance."""
        values, reference = given(self.Model, rule), reference_of(view)
        if isinstance(reference, str):
            return not_checked(reference, view.rows)
        current = profile_cell(view, rule.fields[0], FieldFigure.TOP, Top)
        before = profile_cell(reference, rule.fields[0], FieldFigure.TOP, Top)
        if not current.total or not before.total:
            which = "here" if before.total else "in the reference"
            return not_checked(f"no values of {named(rule)} {which}", view.rows)
        here, there = shares(current), shares(before)
        if max(here.get(OTHER, 0.0), there.get(OTHER, 0.0)) > _MOST_OTHER:
            return not_checked(f"{named(rule)} has too many different values to compare their shares", view.rows)
        if failed := self._unseen(rule, current, before, view.rows):
            return failed
        distance = math.sqrt(js_divergence(here, there))
        categories = len(here.keys() | there.keys())
        floor = math.sqrt(noise_js(categories, current.total, before.total, values.chance))
        detail = f"distance {distance:.3g} (noise floor {floor:.2g})"
        return drift_verdict(rule, values.threshold, distance, floor, rows=view.rows, detail=detail)

    def _unseen(self, rule: CheckRule, current: Top, before: Top, rows: int) -> Verdict | None:
        """Return the verdict on values that the reference never had; None: there are few, or it cannot be told."""
        values, known = given(self.Model, rule), dict(before.items())
        if before.error:
            return None
        new = [(text, count) for text, count in current.items() if text not in known]
        found = sum(count for _, count in new)
        # Good-Turing: what comes next is new with the share of values that came once.
        once = sum(1 for count in known.values() if count == 1)
        usual = current.total * max(once, 1) / before.total
        share, floor = found / current.total, poisson_above(usual, values.chance) / current.total
        if share <= max(values.unseen, floor):
            return None
        named_values = ", ".join(text for text, _ in new[:3])
        detail = f"{found:,} of {current.total:,} values ({100 * share:.3g} %) are new, e.g. {named_values}"
        return Verdict(Outcome.FAIL, share, floor, Bounds(upper=values.unseen), rows, found, detail)
