"""Values in another unit than before."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Outcome, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import NUMBERS, fields_problem, named, profile_cell
from headrace.stream_processors.checks.drift import AgainstReference, reference_of
from headrace.stream_processors.checks.noise import CHANCE, LEAST_CHANCE, deviations
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
_NEAR_DEVIATIONS: Final = 2.5
_MOST_OFF: Final = 0.25


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
        chance: float = Field(
            default=CHANCE,
            ge=LEAST_CHANCE,
            le=0.05,
            description="Share of stable windows whose quartiles may be held to have moved; a contract's false-alarm "
            "budget sets it for all.",
        )
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
        quartiles = [_quartile(before, current, q, values.chance) for q in _QUARTILES]
        old, new = quartiles[1].old, quartiles[1].new
        if not old:
            return not_checked("the reference's median is 0, which has no ratio", view.rows)
        detail = f"median {new:.6g}, in the reference {old:.6g}"
        found = ""
        if all(quartile.left for quartile in quartiles):
            found = _factor(quartiles, values.tolerance) or _temperature(quartiles)
        ratio, error = new / old, abs(new / old) * 2 * 0.01
        if found:
            return Verdict(Outcome.FAIL, ratio, error, None, view.rows, view.rows, f"{detail}: near {found}")
        return Verdict(Outcome.PASS, ratio, error, None, view.rows, 0, detail)


@dataclass(frozen=True)
class _Quartile:
    """A quartile of the reference and of the window, and where that of the whole stream may be, by chance.

    `left` says that it is no longer where it was: without that, a few rows are near any factor.
    """

    old: float
    new: float
    low: float
    high: float
    left: bool


def _quartile(before: Quantiles, current: Quantiles, q: float, chance: float) -> _Quartile:
    spread = math.sqrt(q * (1 - q) * (1 / current.n + 1 / before.n))
    near, far = _NEAR_DEVIATIONS * spread, deviations(chance, before.n) * spread
    old, new = before.quantile(q) or 0.0, current.quantile(q) or 0.0
    low, high = current.quantile(q - near) or 0.0, current.quantile(q + near) or 0.0
    least, most = current.quantile(q - far) or 0.0, current.quantile(q + far) or 0.0
    return _Quartile(old, new, low, high, not least <= old <= most)


def _factor(quartiles: list[_Quartile], tolerance: float) -> str:
    """Return the words of the factor that all quartiles moved by, the nearest by the median; "" if there is none."""
    found: list[tuple[float, str]] = []
    middle = quartiles[1]
    if middle.new / middle.old <= 0:
        return ""
    for factor, words in FACTORS.items():
        for by, text in ((factor, words), (1 / factor, f"one part in {words}")):
            # Near 1 a factor is soon mistaken for a mere shift: there the quartiles must agree better.
            most = min(_MOST_OFF, abs(math.log(by)) / 4)
            if all(_near(quartile, quartile.old * by, tolerance, most) for quartile in quartiles):
                found.append((abs(math.log(middle.new / middle.old / by)), text))
    return min(found)[1] if found else ""


def _near(quartile: _Quartile, expected: float, tolerance: float, most: float) -> bool:
    """Return True for a value within the tolerance of where the quartile may be, and not far from where it was seen."""
    slack = tolerance * abs(expected)
    inside = quartile.low - slack <= expected <= quartile.high + slack
    return inside and abs(quartile.new - expected) <= max(most, tolerance) * abs(expected)


def _temperature(quartiles: list[_Quartile]) -> str:
    """Return "Celsius and Fahrenheit" if all quartiles moved that way, and by more than the values spread."""
    spread = abs(quartiles[2].old - quartiles[0].old)
    for words, slope, shift in (("1.8x + 32 (Celsius to Fahrenheit)", 1.8, 32.0),
                                ("(x - 32) / 1.8 (Fahrenheit to Celsius)", 1 / 1.8, -32 / 1.8)):  # fmt: skip
        moved = min(abs(slope * found.old + shift - found.old) for found in quartiles)
        off = max(abs(slope * found.old + shift - found.new) for found in quartiles)
        if moved > spread and off <= 0.25 * moved:
            return words
    return ""
