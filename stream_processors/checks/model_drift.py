"""Records that a learner predicts worse than it used to."""

import math
import statistics
from typing import Final

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.stream_processors.checks.base import Outcome, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import own_cell
from headrace.stream_processors.checks.learned import (
    ALARMS,
    LOSS,
    LOSS_WEIGHT,
    SEEN,
    WEIGHT_UNIT,
    LearnerCheck,
    LearnerParameters,
    told_nothing,
)
from headrace.stream_processors.checks.noise import deviations
from headrace.stream_processors.sketches.moments import Moments

_MAD_TO_STD: Final = 1.4826
_ERRORS: Final = 2.0


class ModelDrift(LearnerCheck):
    """A learner's mean loss in a window against that of earlier windows, in robust standard deviations.

    The loss is the champion's, of predictions that were made before the label was learned: minutes off of a number,
    log loss of a class. It fails upwards only. Where the learner's own detector raised an alarm in the window, fewer
    deviations are enough: two witnesses.
    """

    name = "model_drift"
    dimension = Dimension.CONSISTENCY
    unit = Unit.VALUE
    summary = "a learner's error against its own history, with the alarms of its detector (robust z, noise floor)"
    reads_history = True

    class Model(LearnerParameters):
        """Its parameters."""

        z: float = Field(default=5.0, gt=0, description="Robust standard deviations beyond which it fails.")
        alarm_z: float = Field(
            default=3.0, gt=0, description="How many are enough where the learner's detector raised an alarm."
        )
        windows: int = Field(default=56, ge=3, description="Earlier windows that it is held against, the newest.")
        least_windows: int = Field(default=12, ge=3, description="Earlier windows that are needed.")
        least_rows: int = Field(default=30, ge=2, description="Labelled records that are needed.")
        least_change: float = Field(
            default=0.02, ge=0, description="Share of the usual loss that counts as one deviation at least."
        )

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        return f"{values.learner} may lose at most {values.z:g} robust deviations more a record than in earlier windows"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the mean loss; `observed` is the loss itself, which becomes the history."""
        values, counts = given(self.Model, rule), view.counts
        if not counts.get(SEEN):
            return not_checked(told_nothing(rule, view), view.rows)
        losses, weight = own_cell(view, LOSS, Moments), counts.get(LOSS_WEIGHT, 0)
        if losses.n < values.least_rows or not weight:
            why = f"{losses.n:,} of {counts[SEEN]:,} records had a label, {values.least_rows} are needed"
            return not_checked(why, view.rows)
        factor = losses.n * WEIGHT_UNIT / weight
        observed, noise = losses.mean * factor, losses.std * factor / math.sqrt(losses.n)
        history = [value for _, value in view.history][-values.windows :]
        lost = f"{values.learner} lost {observed:.4g} a record ({losses.n:,} labelled)"
        if len(history) < values.least_windows:
            why = f"{lost}; {len(history)} earlier windows, {values.least_windows} are needed"
            return Verdict(Outcome.NOT_CHECKED, observed, _ERRORS * noise, rows=view.rows, detail=why)
        usual = statistics.median(history)
        spread = _MAD_TO_STD * statistics.median(abs(value - usual) for value in history)
        deviation = max(spread, noise, values.least_change * abs(usual)) or math.ulp(1.0)
        alarms = counts.get(ALARMS, 0)
        z = min(values.z, values.alarm_z) if alarms else max(values.z, deviations(values.chance, len(history)))
        bounds = Bounds(upper=usual + z * deviation)
        failed = bounds.excess(observed) > 0
        detail = f"{lost}, usually {usual:.4g} ± {deviation:.2g}"
        if alarms:
            detail += f"; its detector raised {alarms:,} {'alarm' if alarms == 1 else 'alarms'}"
        at_risk = losses.n if failed else 0
        outcome = Outcome.FAIL if failed else Outcome.PASS
        return Verdict(outcome, observed, _ERRORS * noise, bounds, losses.n, at_risk, detail)
