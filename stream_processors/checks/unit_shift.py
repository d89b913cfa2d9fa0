"""Values in another unit than before."""

import math
from collections.abc import Mapping
from typing import Final

from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Outcome, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, fields_problem, named, profile_cell
from headrace.stream_processors.checks.drift import AgainstReference, reference_of
from headrace.stream_processors.sketches.quantiles import Quantiles

FACTORS: Final[Mapping[float, str]] = {
    1000.0: "thousand (km and m, kg and g, s and ms)",
    1_000_000.0: "million (s and us, t and g)",
    100.0: "hundred (m and cm, shares and percent, currency and cents)",
    10.0: "ten (cm and mm)",
    25.4: "25.4 (inch and mm)",
    2.54: "2.54 (inch and cm)",
    1 / 0.3048: "3.281 (m and feet)",
    1.609344: "1.609 (miles and km)",
    1.852: "1.852 (knots and km/h)",
    1 / 0.45359237: "2.205 (kg and pounds)",
    3.6: "3.6 (m/s and km/h)",
    60.0: "sixty (minutes and seconds)",
    3600.0: "3600 (hours and seconds)",
    24.0: "twenty-four (days and hours)",
}
_QUARTILES: Final = (0.25, 0.5, 0.75)


class UnitShift(Check):
    """Whether all quartiles moved by one known factor, or from Celsius to Fahrenheit or back."""

    name = "unit_shift"
    dimension = Dimension.ACCURACY
    unit = Unit.VALUE
    summary = "values that moved by a unit's factor (1000, 2.54, 1.8x + 32, ...) against the reference"
    needs_fields = 1

    class Model(AgainstReference):
        """Parameters."""

        tolerance: float = Field(default=0.06, gt=0, le=0.2, description="How near the factor each quartile must be.")
        least_rows: int = Field(default=30, ge=5, description="Values that the window and the reference need.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no number."""
        return fields_problem(rule, kinds, NUMBERS)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's quantiles."""
        return {rule.fields[0]: frozenset({FieldFigure.QUANTILES})}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{named(rule)} must come in the unit it had in {given(self.Model, rule).reference}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the ratio of the medians."""
        values, reference = given(self.Model, rule), reference_of(view)
        if isinstance(reference, str):
            return not_checked(reference, view.rows)
        current = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        before = profile_cell(reference, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        if min(current.n, before.n) < values.least_rows:
            return not_checked(f"{min(current.n, before.n)} values, {values.least_rows} are needed", view.rows)
        pairs = [(before.quantile(q) or 0.0, current.quantile(q) or 0.0) for q in _QUARTILES]
        old, new = pairs[1]
        if not old:
            return not_checked("the reference's median is 0, which has no ratio", view.rows)
        detail = f"median {new:.6g}, in the reference {old:.6g}"
        found = _factor(pairs, values.tolerance) or _temperature(pairs)
        ratio, error = new / old, abs(new / old) * 2 * 0.01
        if found:
            return Verdict(Outcome.FAIL, ratio, error, None, view.rows, view.rows, f"{detail}: near {found}")
        return Verdict(Outcome.PASS, ratio, error, None, view.rows, 0, detail)


def _factor(pairs: list[tuple[float, float]], tolerance: float) -> str:
    """Return the words of the factor that all quartiles moved by, "" if there is none."""
    ratios = [new / old for old, new in pairs if old]
    if min(ratios) <= 0:
        return ""
    for factor, words in FACTORS.items():
        for sign in (1, -1):
            if all(abs(math.log(ratio) - sign * math.log(factor)) <= tolerance for ratio in ratios):
                return f"{'' if sign > 0 else 'one part in '}{words}"
    return ""


def _temperature(pairs: list[tuple[float, float]]) -> str:
    """Return "Celsius and Fahrenheit" if all quartiles moved that way, and by more than the values spread."""
    spread = abs(pairs[2][0] - pairs[0][0])
    for words, slope, shift in (("1.8x + 32 (Celsius to Fahrenheit)", 1.8, 32.0),
                                ("(x - 32) / 1.8 (Fahrenheit to Celsius)", 1 / 1.8, -32 / 1.8)):  # fmt: skip
        moved = min(abs(slope * old + shift - old) for old, _ in pairs)
        if moved > spread and all(abs(slope * old + shift - new) <= 0.25 * moved for old, new in pairs):
            return words
    return ""
