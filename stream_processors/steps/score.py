"""How good a window is: loss by rule, score by dimension and field, the worst field, and what was not looked at. Pure.

loss = min(1, breach / tolerance) of a rule that fails, 0 of one that passes; a score is 100 x (1 - the weighted mean of
the losses). A rule without a verdict has no part in a mean: it lowers the coverage, which is always shown beside.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import Outcome, Verdict

FULL = 100.0


@dataclass(frozen=True)
class Judged:
    """A rule and its verdict."""

    rule: CheckRule
    verdict: Verdict

    @property
    def loss(self) -> float:
        """Return the rule's loss, 0 to 1."""
        return loss(self.verdict)


@dataclass(frozen=True)
class Score:
    """What one window or file is worth, 0 to 100; never `total` alone.

    `worst_field` is the critical field with the least score ("" without one); `checked` of `declared` rules had a
    verdict; `unchecked` names the rules that had none with their reason, and the fields that no rule looks at.
    """

    total: float | None
    dimensions: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, float] = field(default_factory=dict)
    worst_field: str = ""
    worst_score: float | None = None
    checked: int = 0
    declared: int = 0
    unchecked: tuple[str, ...] = ()


def loss(verdict: Verdict) -> float:
    """Return the loss of a verdict: how far it is beyond its bound, measured in bounds, at most 1.

    Where the bound is 0, the unit itself is the measure: 0.4 % where none is tolerated is a loss of 0.4.

    >>> from headrace.schemas.check_rules import Bounds
    >>> loss(Verdict(Outcome.FAIL, observed=3.0, bounds=Bounds(upper=2.0)))
    0.5
    >>> loss(Verdict(Outcome.PASS, observed=1.0, bounds=Bounds(upper=2.0)))
    0.0
    """
    if verdict.outcome is not Outcome.FAIL:
        return 0.0
    if verdict.observed is None or verdict.bounds is None:
        return 1.0
    excess = verdict.bounds.excess(verdict.observed)
    broken = verdict.bounds.upper if _above(verdict) else verdict.bounds.lower
    tolerance = abs(broken) if broken else 1.0
    return min(1.0, excess / tolerance) if math.isfinite(excess) else 1.0


def _above(verdict: Verdict) -> bool:
    bounds, observed = verdict.bounds, verdict.observed
    return bounds is not None and observed is not None and bounds.upper is not None and observed >= bounds.upper


def score(judged: Collection[Judged], fields: Iterable[str], critical: Collection[str] = ()) -> Score:
    """Return the score of all verdicts on a window whose records have `fields`; no verdict at all is no score.

    `critical` are the fields that the contract calls critical; without one every field may be the worst.
    """
    known = [one for one in judged if one.verdict.outcome is not Outcome.NOT_CHECKED]
    by_field = {
        name: _mean([one for one in known if name in one.rule.fields])
        for name in sorted({name for one in known for name in one.rule.fields})
    }
    candidates = [name for name in by_field if not critical or name in critical]
    worst = min(candidates, key=lambda name: (by_field[name], name), default="")
    dimensions = sorted({one.rule.dimension.value for one in known})
    looked_at = {name for one in judged for name in one.rule.fields}
    unchecked = [f"{one.rule.id}: {one.verdict.detail}" for one in judged if one.verdict.outcome is Outcome.NOT_CHECKED]
    unchecked += [f"{name}: no rule looks at it" for name in fields if name not in looked_at]
    return Score(
        total=_mean(known) if known else None,
        dimensions={name: _mean([one for one in known if one.rule.dimension == name]) for name in dimensions},
        fields=by_field,
        worst_field=worst,
        worst_score=by_field.get(worst),
        checked=len(known),
        declared=len(judged),
        unchecked=tuple(unchecked),
    )


def _mean(judged: Collection[Judged]) -> float:
    weight = sum(one.rule.weight for one in judged)
    lost = sum(one.rule.weight * one.loss for one in judged)
    return FULL * (1.0 - lost / weight) if weight else FULL


def trend(scores: Iterable[float]) -> float | None:
    """Return by how many points the last score differs from the median of those before, None without earlier ones.

    >>> trend([90.0, 80.0, 100.0, 70.0])
    -20.0
    """
    *earlier, last = scores
    if not earlier:
        return None
    ordered = sorted(earlier)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return last - middle
