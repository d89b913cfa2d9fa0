"""Records of a window against what such windows usually have."""

import statistics
from typing import Final

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.stream_processors.checks.base import Check, Outcome, Parameters, Verdict, View, given
from headrace.stream_processors.checks.noise import LEAST_CHANCE, deviations

_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800
# The standard deviation of a normal sample, from its median absolute deviation.
_MAD_TO_SIGMA: Final = 1.4826


class VolumeAnomaly(Check):
    """How far the number of records is from that of earlier windows of the same hour of the week, by median and MAD.

    Windows of a day and more are compared with those of the same weekday, of a week and more with all. A verdict always
    observes the number of records, `not_checked` too: so the history grows. The rule has no bounds of its own.
    """

    name = "volume_anomaly"
    dimension = Dimension.COVERAGE
    unit = Unit.ROWS
    summary = "records of a window against the median of comparable windows"
    sees_silence = True
    reads_history = True

    class Model(Parameters):
        """Its parameters."""

        k: float = Field(default=4.0, gt=0, description="How many (robust) standard deviations are still usual.")
        least_windows: int = Field(default=4, ge=3, description="Comparable windows that a verdict needs.")
        tolerance: float = Field(
            default=0.05, ge=0, lt=1, description="Share of the median that a standard deviation is at least."
        )

        chance: float | None = Field(
            default=None,
            ge=LEAST_CHANCE,
            le=0.05,
            description="Share of stable windows that may fail by chance: where it asks for more deviations than k, "
            "they hold. A contract's false-alarm budget sets it.",
        )

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        k = given(self.Model, rule).k
        return f"a window's number of records must be within {k:g} deviations of the same hour in earlier weeks"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the distance from the median."""
        chosen, rows = given(self.Model, rule), float(view.rows)
        usual = [value for start, value in view.history if start < view.start and _comparable(start, view)]
        if len(usual) < chosen.least_windows:
            why = f"{len(usual)} comparable windows, {chosen.least_windows} are needed"
            return Verdict(Outcome.NOT_CHECKED, rows, rows=view.rows, detail=why)
        median = statistics.median(usual)
        spread = _MAD_TO_SIGMA * statistics.median(abs(value - median) for value in usual)
        # Counts of independent events scatter by their square root: less is no sign of anything.
        k = chosen.k if chosen.chance is None else max(chosen.k, deviations(chosen.chance, len(usual)))
        width = k * max(spread, chosen.tolerance * median, median**0.5, 1.0)
        bounds = Bounds(lower=max(0.0, median - width), upper=median + width)
        detail = f"{view.rows:,} records, {median:,.0f} are usual (of {len(usual)} windows)"
        if bounds.excess(rows):
            return Verdict(Outcome.FAIL, rows, 0.0, bounds, view.rows, view.rows, detail)
        outcome = Outcome.PASS if view.rows else Outcome.NOT_CHECKED
        return Verdict(outcome, rows, 0.0, bounds, view.rows, 0, detail)


def _comparable(start: int, view: View) -> bool:
    size = view.end - view.start
    if size >= _WEEK:
        return True
    slot = _HOUR if size < _DAY else _DAY
    return start % _WEEK // slot == view.start % _WEEK // slot
