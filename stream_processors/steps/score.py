"""How good a window is: loss by rule, score by dimension and field, the worst field, and what was not looked at. Pure.

loss = prevalence x min(1, breach / tolerance) of a rule that fails, 0 of one that passes. Prevalence is the share of
the rows that the finding concerns: one duplicate in a million rows is a millionth of a loss, though none is tolerated.
A score is 100 x (1 - the weighted mean of the losses). A rule without a verdict has no part in a mean: it lowers the
coverage, which is always shown beside. Scores that were stored by an older definition are made again from the verdicts
that are stored beside them, so that a trend compares like with like.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from headrace.schemas.check_rules import Bounds, CheckRule
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
        return loss(replace(self.verdict, bounds=self.verdict.bounds or self.rule.bounds))


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
    """Return the loss of a verdict: what share of the rows it concerns, times how far it is beyond its bound.

    The breach is measured in bounds and at most 1; where the bound is 0 any breach is a whole one. A finding that names
    no rows concerns the window as a whole.

    >>> from headrace.schemas.check_rules import Bounds
    >>> loss(Verdict(Outcome.FAIL, observed=3.0, bounds=Bounds(upper=2.0), rows=100, rows_at_risk=3))
    0.015
    >>> loss(Verdict(Outcome.PASS, observed=1.0, bounds=Bounds(upper=2.0)))
    0.0
    """
    if verdict.outcome is not Outcome.FAIL:
        return 0.0
    bounds = verdict.bounds or Bounds()
    return loss_of(Figures(verdict.observed, bounds.lower, bounds.upper, verdict.rows, verdict.rows_at_risk))


class Figures(NamedTuple):
    """What a loss is made of."""

    observed: float | None
    lower: float | None
    upper: float | None
    rows: int
    rows_at_risk: int


def loss_of(failed: Figures) -> float:
    """Return the loss of a rule that failed with these figures.

    >>> loss_of(Figures(1.0, None, 0.0, 1_000_000, 1)), loss_of(Figures(80.0, 90.0, None, 80, 80)) < 0.2
    (1e-06, True)
    """
    return _prevalence(failed) * _degree(failed)


def _prevalence(failed: Figures) -> float:
    if failed.rows <= 0 or failed.rows_at_risk <= 0:
        return 1.0
    return min(1.0, failed.rows_at_risk / failed.rows)


def _degree(failed: Figures) -> float:
    observed, lower, upper = failed.observed, failed.lower, failed.upper
    if observed is None or not math.isfinite(observed) or (lower is None and upper is None):
        return 1.0
    above = upper is not None and observed >= upper
    broken = upper if above else lower
    if not broken or lower == upper == observed:
        return 1.0
    beyond = observed - broken if above else broken - observed
    # A failed value between its bounds is where the rule says that none may be.
    return min(1.0, beyond / abs(broken)) if beyond >= 0 else 1.0


@dataclass(frozen=True)
class _Weighed:
    """A rule that had a verdict, as means need it."""

    fields: Collection[str]
    dimension: str
    weight: float
    loss: float


def score(judged: Collection[Judged], fields: Iterable[str], critical: Collection[str] = ()) -> Score:
    """Return the score of all verdicts on a window whose records have `fields`; no verdict at all is no score.

    `critical` are the fields that the contract calls critical; without one every field may be the worst.
    """
    known = [
        _Weighed(one.rule.fields, one.rule.dimension.value, one.rule.weight, one.loss)
        for one in judged
        if one.verdict.outcome is not Outcome.NOT_CHECKED
    ]
    looked_at = {name for one in judged for name in one.rule.fields}
    unchecked = [f"{one.rule.id}: {one.verdict.detail}" for one in judged if one.verdict.outcome is Outcome.NOT_CHECKED]
    unchecked += [f"{name}: no rule looks at it" for name in fields if name not in looked_at]
    return _score(known, critical, len(judged), tuple(unchecked))


def rescored(verdicts: Iterable[Mapping[str, Any]], critical: Collection[str] = ()) -> Score:
    """Return the score of a stored window by today's definition, from its verdicts as window.avsc has them.

    `unchecked` stays empty: the window's own record names what had no verdict.
    """
    told = list(verdicts)
    known = [
        _Weighed(
            tuple(filter(None, (name.strip() for name in one["field"].split(",")))),
            one["dimension"],
            one["weight"],
            loss_of(Figures(*(one[name] for name in Figures._fields))) if one["outcome"] == Outcome.FAIL else 0.0,
        )
        for one in told
        if one["outcome"] != Outcome.NOT_CHECKED
    ]
    return _score(known, critical, len(told), ())


def _score(known: Collection[_Weighed], critical: Collection[str], declared: int, unchecked: tuple[str, ...]) -> Score:
    by_field = {
        name: _mean([one for one in known if name in one.fields])
        for name in sorted({name for one in known for name in one.fields})
    }
    candidates = [name for name in by_field if not critical or name in critical]
    worst = min(candidates, key=lambda name: (by_field[name], name), default="")
    return Score(
        total=_mean(known) if known else None,
        dimensions={
            name: _mean([one for one in known if one.dimension == name])
            for name in sorted({one.dimension for one in known})
        },
        fields=by_field,
        worst_field=worst,
        worst_score=by_field.get(worst),
        checked=len(known),
        declared=declared,
        unchecked=unchecked,
    )


def _mean(known: Collection[_Weighed]) -> float:
    weight = sum(one.weight for one in known)
    lost = sum(one.weight * one.loss for one in known)
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
