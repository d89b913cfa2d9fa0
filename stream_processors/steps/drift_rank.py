"""Findings on one scale, the strongest first: what share of a window's rows would have to be others. Pure.

A rank by breach over bound would compare a PSI with a count of rows. The scale here is the total variation distance,
from 0 to 1: exact for missing and unseen values and for volume, else the one that a shift of a normal distribution
with the same figure has. It reads what `quality.windows` holds of a verdict, so that reports and alerts rank alike.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headrace.schemas.check_rules import Unit
from headrace.stream_processors.steps.score import Judged

_LN2: Final = math.log(2)
_SLIGHT, _CLEAR, _STRONG = 0.05, 0.15, 0.35


@dataclass(frozen=True)
class Seen:
    """The figures of one failed verdict."""

    rule: str
    check: str
    observed: float
    lower: float | None = None
    upper: float | None = None
    unit: str = Unit.VALUE
    rows: int = 0
    rows_at_risk: int = 0


@dataclass(frozen=True)
class Ranked:
    """A finding with its effect from 0 to 1, and the word for it."""

    rule: str
    effect: float
    word: str


def ranked(found: Sequence[Seen]) -> list[Ranked]:
    """Return the findings, strongest first; equal ones by rule."""
    known = [Ranked(one.rule, effect, effect_word(effect)) for one in found for effect in [effect_of(one)]]
    return sorted(known, key=lambda one: (-one.effect, one.rule))


def seen(one: Judged) -> Seen:
    """Return the figures of a verdict."""
    verdict, bounds = one.verdict, one.verdict.bounds
    return Seen(
        rule=one.rule.id,
        check=one.rule.check,
        observed=math.nan if verdict.observed is None else verdict.observed,
        lower=bounds.lower if bounds else None,
        upper=bounds.upper if bounds else None,
        unit=one.rule.unit.value,
        rows=verdict.rows,
        rows_at_risk=verdict.rows_at_risk,
    )


def effect_word(effect: float) -> str:
    """Return an effect in a word.

    >>> effect_word(0.02), effect_word(0.1), effect_word(0.2), effect_word(0.9)
    ('slight', 'noticeable', 'clear', 'strong')
    """
    if effect < _SLIGHT:
        return "slight"
    return "noticeable" if effect < _CLEAR else "clear" if effect < _STRONG else "strong"


def effect_of(one: Seen) -> float:
    """Return how far a finding is from what was expected: the share of the rows that would have to be others.

    >>> round(effect_of(Seen("r", "psi_drift", 0.25)), 2), effect_of(Seen("r", "volume_anomaly", 80, 90, 110))
    (0.2, 0.2)
    """
    if math.isnan(one.observed):
        return 0.0
    return min(max(_EFFECTS.get(one.check, _of_rows)(one), 0.0), 1.0)


def _of_psi(one: Seen) -> float:
    # A normal distribution moved by d deviations has a PSI of d squared, and erf(d / sqrt(8)) of it lies elsewhere.
    return math.erf(math.sqrt(max(one.observed, 0.0)) / math.sqrt(8))


def _of_categories(one: Seen) -> float:
    if 0 < one.rows_at_risk < one.rows:
        return one.observed
    return math.erf(math.sqrt(8 * _LN2) * one.observed / math.sqrt(8))


def _of_unit(one: Seen) -> float:
    return 1.0


def _of_history(one: Seen) -> float:
    if one.lower is None or one.upper is None:
        return _of_rows(one)
    usual = (one.lower + one.upper) / 2
    return abs(one.observed - usual) / abs(usual) if usual else 1.0


def _of_rows(one: Seen) -> float:
    """Return the part of a share beyond its bound; of figures that are no share, the breach against the bound."""
    high, low = one.upper, one.lower
    beyond = max(one.observed - high if high is not None else 0.0, low - one.observed if low is not None else 0.0)
    if one.unit == Unit.PERCENT:
        return beyond / 100
    if one.unit == Unit.ROWS and one.rows:
        return beyond / max(one.rows, one.observed)
    bound = high if high is not None and one.observed > high else low
    return beyond / (abs(bound) + beyond) if bound is not None and beyond > 0 else 0.0


_EFFECTS: Final[Mapping[str, Callable[[Seen], float]]] = {
    "psi_drift": _of_psi,
    "category_drift": _of_categories,
    "unit_shift": _of_unit,
    "volume_anomaly": _of_history,
    "metric_anomaly": _of_history,
}
