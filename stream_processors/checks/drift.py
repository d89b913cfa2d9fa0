"""How far two samples are apart, and how far they would be by chance alone: for the checks against a reference.

Effect sizes, no p-values: with many rows every difference is significant, and what matters is its size. The noise floor
keeps few rows from looking like drift. Under no drift a count k of a bin varies like its expectation, so that
sum((p - q)^2 / p) over B bins is expected to be (B - 1) * (1/n + 1/m) for samples of n and m rows; PSI is about that
sum, and the Jensen-Shannon divergence an eighth of it (in nats).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.stream_processors.checks.base import Outcome, Parameters, Verdict, View, not_checked
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.top import Top

OTHER = "\0other"
_REFERENCE = r"^(trailing:P[0-9A-Z]+|hour_of_week|pinned:\S+)$"


class AgainstReference(Parameters):
    """The parameters of every check against a reference."""

    reference: str = Field(
        default="trailing:P7D",
        pattern=_REFERENCE,
        description="What the window is compared with: trailing:P7D (the windows of the seven days before it), "
        "hour_of_week (the same hour of earlier weeks), or pinned:NAME (a profile kept under a name).",
    )


class DriftParameters(AgainstReference):
    """The parameters of drift checks."""

    noise_multiple: float = Field(
        default=3.0, ge=1, description="It fails only above this multiple of what chance alone is expected to give."
    )


def expected_psi(bins: int, n: int, m: int) -> float:
    """Return the PSI that two samples of the same distribution are expected to have.

    >>> round(expected_psi(11, 1000, 1000), 4)
    0.02
    """
    return max(bins - 1, 1) * (1 / n + 1 / m)


def expected_js(categories: int, n: int, m: int) -> float:
    """Return the Jensen-Shannon divergence (bits) that two samples of the same distribution are expected to have."""
    return expected_psi(categories, n, m) / (8 * math.log(2))


def psi(reference: Quantiles, current: Quantiles, bins: int) -> tuple[float, int]:
    """Return the population stability index on bins of about equal reference counts, and the number of bins.

    Both samples have the same fine bins, so that the counts are exact; what lies below or above everything in the
    reference are two bins more. Half a row is added to each bin, so that an empty one does not give infinity.
    """
    edges, first = _edges(reference, bins)
    expected, observed = _binned(reference, edges, first), _binned(current, edges, first)
    size = len(expected)
    total = 0.0
    for left, right in zip(expected, observed, strict=True):
        p, q = (left + 0.5) / (reference.n + 0.5 * size), (right + 0.5) / (current.n + 0.5 * size)
        total += (q - p) * math.log(q / p)
    return total, size


def _edges(reference: Quantiles, bins: int) -> tuple[list[float], float]:
    """Return the upper edges of the reference's bins, and the lower edge of the first."""
    found, held = reference.bins(), 0
    edges: list[float] = []
    for _, high, count in found:
        held += count
        if held * bins >= reference.n:
            edges.append(high)
            held = 0
    return ([*edges, found[-1][1]] if held else edges), found[0][0]


def _binned(sample: Quantiles, edges: Sequence[float], first: float) -> list[int]:
    counts = [0] * (len(edges) + 2)
    for low, high, count in sample.bins():
        counts[0 if low < first and high <= first and not low == high == first else 1 + bisect_left(edges, high)] += (
            count
        )
    return counts


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
