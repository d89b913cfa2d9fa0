"""Records that a learner calls anomalous."""

from typing import Final

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.stream_processors.checks.base import Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import bounded, demand
from headrace.stream_processors.checks.learned import (
    ANOMALOUS,
    ANOMALOUS_WEIGHT,
    SCORED,
    SCORED_WEIGHT,
    SEEN,
    WEIGHT_UNIT,
    LearnerCheck,
    LearnerParameters,
    told_nothing,
)
from headrace.stream_processors.checks.noise import binomial_above

_UNLESS: Final = Bounds(upper=5.0)
"""A learner calls about its `threshold` of stable records anomalous, by default 1 %; more than 5 % are a burst."""


class AnomalyShare(LearnerCheck):
    """How many of the records that a learner scored it calls anomalous, with a noise floor by their number."""

    name = "anomaly_share"
    dimension = Dimension.ACCURACY
    unit = Unit.PERCENT
    summary = "records that a learner calls anomalous (above a bound and a noise floor)"

    class Model(LearnerParameters):
        """Its parameters."""

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule, _UNLESS)} of the records may be anomalous to {given(self.Model, rule).learner}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share; fewer anomalies than chance brings to so few records never fail."""
        values, counts = given(self.Model, rule), view.counts
        if not counts.get(SEEN):
            return not_checked(told_nothing(rule, view), view.rows)
        scored, anomalous = counts.get(SCORED, 0), counts.get(ANOMALOUS, 0)
        if not scored:
            why = f"learner {values.learner} scored none of {counts[SEEN]:,} records: it has no limit yet"
            return not_checked(why, view.rows)
        share = counts.get(ANOMALOUS_WEIGHT, 0) / counts[SCORED_WEIGHT]
        percent = rule.unit is Unit.PERCENT
        scale = 100.0 if percent else counts[SCORED_WEIGHT] / WEIGHT_UNIT
        observed = share * scale
        expected = (rule.bounds or _UNLESS).upper
        allowed = min((expected or 0.0) / scale, 1.0)
        floor = (binomial_above(scored, allowed, values.chance) / scored - allowed) * scale
        detail = f"{anomalous:,} of {scored:,} records are anomalous to {values.learner} ({100 * share:.3g} %)"
        if scored < counts[SEEN]:
            detail += f"; it scored {scored:,} of {counts[SEEN]:,}"
        return bounded(rule, _UNLESS, observed, rows=scored, at_risk=anomalous, detail=detail, error=floor)
