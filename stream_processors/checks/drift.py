"""How far two samples are apart, and how far they would be by chance alone: for the checks against a reference.

Effect sizes, no p-values: with many rows every difference is significant, and what matters is its size. The noise floor
keeps few rows from looking like drift. Without drift, sum((p - q)^2 / p) over B bins is distributed as chi-square with
B - 1 degrees of freedom, times (1/n + 1/m) for samples of n and m rows; PSI is about that sum, and the Jensen-Shannon
divergence an eighth of it (in nats). The floor is what this passes with the rule's `chance`: a multiple of its mean
would be passed far more often with three bins than with twenty.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import Field, field_validator

from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.schemas.pinned import pinned_problem
from headrace.stream_processors.checks.base import Outcome, Parameters, Verdict, View, not_checked
from headrace.stream_processors.checks.noise import CHANCE, LEAST_CHANCE, chi_square_above
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.top import Top

OTHER = "\0other"
_STRAY_ROWS: Final = 5
REFERENCE = r"^(trailing:P[0-9A-Z]+|hour_of_week|pinned:\S+)$"


class AgainstReference(Parameters):
    """The parameters of every check against a reference."""

    reference: str = Field(
        default="trailing:P7D",
        pattern=REFERENCE,
        description="What the window is compared with: trailing:P7D (the windows of the seven days before it), "
        "hour_of_week (the same hour of earlier weeks), pinned:2013-01-01/P7D (the windows of that week), or "
        "pinned:NAME (windows that headrace pin keeps under a name).",
    )

    @field_validator("reference")
    @classmethod
    def _pinned(cls, value: str) -> str:
        """Refuse a pinned reference that is neither a range nor a name."""
        if value.startswith("pinned:") and (problem := pinned_problem(value.removeprefix("pinned:"))):
            raise ValueError(problem)
        return value


class DriftParameters(AgainstReference):
    """The parameters of drift checks."""

    chance: float = Field(
        default=CHANCE,
        ge=LEAST_CHANCE,
        le=0.05,
        description="Share of stable windows that may fail by chance; a contract's false-alarm budget sets it for all.",
    )


def noise_psi(bins: int, n: int, m: int, chance: float) -> float:
    """Return the PSI that two samples of the same distribution pass with this chance.

    >>> round(noise_psi(10, 1000, 24_000, 1e-4), 3)
    0.036
    """
    return chi_square_above(max(bins - 1, 1), chance) * (1 / n + 1 / m)


def noise_js(categories: int, n: int, m: int, chance: float) -> float:
    """Return the Jensen-Shannon divergence (bits) that two samples of the same distribution pass with this chance."""
    return noise_psi(categories, n, m, chance) / (8 * math.log(2))


def psi(reference: Quantiles, current: Quantiles, bins: int) -> tuple[float, int]:
    """Return the population stability index on bins of about equal reference counts, and the number of bins.

    Both samples have the same fine bins, so that the counts are exact. Half a row is added to each bin, so that an
    empty one does not give infinity. What lies below or above everything in the reference is a bin of its own only
    when it is more than chance brings there; else a single row would look like drift.
    """
    highs = np.array([high for _, high, _ in reference.bins()])
    edges = highs[_last_of_bins(reference, bins)]
    first, last = reference.bins()[0], highs[-1]
    expected = np.bincount(np.searchsorted(edges, highs), weights=reference.counts, minlength=len(edges))
    theirs = current.bins()
    lows, tops = np.array([low for low, _, _ in theirs]), np.array([high for _, high, _ in theirs])
    below = (tops <= first[0]) & (lows < first[0]) if first[0] < first[1] else tops < first[0]
    places = np.where(tops > last, len(edges), np.where(below, -1, np.searchsorted(edges, tops))) + 1
    observed = np.bincount(places, weights=current.counts, minlength=len(edges) + 2)
    least = _STRAY_ROWS * (1 + current.n / reference.n)
    low, inner, high = observed[0], observed[1:-1], observed[-1]
    inner[0] += low if low < least else 0.0
    inner[-1] += high if high < least else 0.0
    outer = [count for count in (low, high) if count >= least]
    expected, inner = np.append(expected, np.zeros(len(outer))), np.append(inner, outer)
    size = len(expected)
    p, q = (expected + 0.5) / (reference.n + 0.5 * size), (inner + 0.5) / (current.n + 0.5 * size)
    return float(((q - p) * np.log(q / p)).sum()), size


def _last_of_bins(reference: Quantiles, bins: int) -> list[int]:
    """Return the places of the fine bins that end a bin of about `1 / bins` of the reference's rows."""
    held, found = 0, []
    counts = reference.counts.tolist()
    for place, count in enumerate(counts):
        held += count
        if held * bins >= reference.n:
            found.append(place)
            held = 0
    if held and held * bins * 2 < reference.n and found:
        found[-1] = len(counts) - 1
    elif held:
        found.append(len(counts) - 1)
    return found


def shares(sample: Top) -> dict[str, float]:
    """Return the share of each listed category; those beyond the list together are `OTHER`."""
    listed = {text: count / sample.total for text, count in sample.items()}
    rest = 1.0 - sum(listed.values())
    return {**listed, OTHER: rest} if sample.error else listed


def js_divergence(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    """Return the Jensen-Shannon divergence in bits: 0 for equal shares, 1 for categories that never meet.

    >>> js_divergence({"a": 1.0}, {"b": 1.0}), js_divergence({"a": 1.0}, {"a": 1.0})
    (1.0, 0.0)
    """
    total = 0.0
    for name in left.keys() | right.keys():
        p, q = left.get(name, 0.0), right.get(name, 0.0)
        middle = (p + q) / 2
        total += sum(share * math.log2(share / middle) for share in (p, q) if share > 0) / 2
    return max(total, 0.0)


def drift_verdict(
    rule: CheckRule, threshold: float, observed: float, floor: float, *, rows: int, detail: str
) -> Verdict:
    """Return the verdict of an effect size: it fails above threshold and floor; below the floor nothing is known."""
    bounds = rule.bounds or Bounds(upper=threshold)
    if bounds.excess(observed) > 0 and observed > floor:
        return Verdict(Outcome.FAIL, observed, floor, bounds, rows, rows, detail)
    if bounds.excess(floor) > 0:
        return not_checked(f"too few rows: chance alone may give {floor:.3g}, the bound is {bounds.upper:.3g}", rows)
    return Verdict(Outcome.PASS, observed, floor, bounds, rows, 0, detail)


def reference_of(view: View) -> View | str:
    """Return the view of the reference, or why there is none."""
    if not view.rows:
        return "no rows"
    if view.reference is None or not view.reference.rows:
        return "there is no reference to compare with yet"
    return view.reference
