"""One piece of advice: what it says, how sure it is, what it would win, and its record on quality.advice. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.steps.score import FULL, loss

UNMEASURED_GAIN: Final = 0.1
"""Points that advice counts with in the ranking where the score measures nothing of it, e.g. a constant column."""
_HALF_SURE_ROWS: Final = 20
# How often the cause follows from the symptom: a judgement, stated here and in docs/guide/advice.md.
_PRIOR: Final = {
    "absent_events": 0.9,
    "concentrated_nulls": 0.8,
    "sentinels": 0.95,
    "near_categories": 0.8,
    "spelling_variants": 0.9,
    "name_variants": 0.5,
    "constant_field": 0.95,
    "absent_field": 0.9,
    "digit_heaping": 0.7,
    "time_zone": 0.8,
    "unit_shift": 0.8,
    "release_regression": 0.7,
    "under_sampled": 0.6,
    "replayed_file": 0.9,
    "personal_data": 0.8,
    "stuck_sensor": 0.7,
    "late_records": 0.6,
    "late_bursts": 0.7,
    "replayed_keys": 0.9,
}
_OTHER_PRIOR: Final = 0.5


@dataclass(frozen=True)
class Advice:
    """One recommendation. `symptom` names the rule of advice that speaks, `rule` the contract's that measures it.

    `expected_gain` is in points of the score, `query` the evidence as SQL, `metric` the figure at the time of advice.
    """

    symptom: str
    dataset: str
    field: str
    segment: str
    evidence: tuple[str, ...]
    cause: str
    action: str
    rows_at_risk: int
    expected_gain: float
    rule: str = ""
    query: str = ""

    @property
    def id(self) -> str:
        """Return the same id for the same advice, however often it is given."""
        parts = (self.dataset, self.symptom, self.field, self.segment)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    @property
    def confidence(self) -> float:
        """Return how sure the cause is, 0 to 1: its prior, times rows / (rows + 20)."""
        seen = self.rows_at_risk / (self.rows_at_risk + _HALF_SURE_ROWS)
        return _PRIOR.get(self.symptom, _OTHER_PRIOR) * seen

    @property
    def weight(self) -> float:
        """Return what it is ranked by: rows at risk x gain x confidence."""
        return self.rows_at_risk * max(self.expected_gain, UNMEASURED_GAIN) * self.confidence


def ranked(found: Iterable[Advice]) -> list[Advice]:
    """Return advice by rows at risk x gain x confidence, greatest first."""
    return sorted(found, key=lambda one: (-one.weight, one.symptom, one.field, one.segment))


def rule_gain(
    rule: CheckRule,
    rules: Sequence[CheckRule],
    observed: float | None,
    bound: float | None,
    concerned: tuple[int, int] = (0, 0),
) -> float:
    """Return how many points of the score a rule costs that fails with this value: its share of the weights x its loss.

    `bound` is the alert's, for a rule whose check has bounds of its own; `concerned` are (rows at risk, rows).

    >>> rule = CheckRule("a", "null_rate", bounds=Bounds(upper=10.0))
    >>> rule_gain(rule, [rule, CheckRule("b", "range")], 15.0, None)
    25.0
    """
    whole = sum(one.weight for one in rules)
    bounds = rule.bounds or (None if bound is None else Bounds(upper=bound))
    at_risk, rows = concerned
    lost = loss(Verdict(Outcome.FAIL, observed, bounds=bounds, rows=rows, rows_at_risk=at_risk))
    return FULL * rule.weight / whole * lost if whole else 0.0


def needed_rows(rate: float, half_width: float, known: int) -> int:
    """Return how many more records a segment needs for its rate to be known within +-half_width (95 %).

    >>> needed_rows(0.5, 0.05, 100)
    285
    """
    wanted = 1.96**2 * max(rate * (1 - rate), 0.01) / half_width**2
    return max(0, int(wanted + 0.999) - known)


def advice_record(
    advice: Advice, *, owner: str, contract_version: str, alert_ids: Sequence[str], raised_at: int
) -> dict[str, Any]:
    """Return the advice as advice.avsc lays it out, proposed; `raised_at` in microseconds since 1970."""
    return {
        "advice_id": advice.id,
        "dataset": advice.dataset,
        "symptom": advice.symptom,
        "field": advice.field,
        "segment": advice.segment,
        "evidence": list(advice.evidence),
        "cause": advice.cause,
        "action": advice.action,
        "owner": owner,
        "rows_at_risk": advice.rows_at_risk,
        "expected_gain": advice.expected_gain,
        "state": "proposed",
        "alert_ids": list(alert_ids),
        "contract_version": contract_version,
        "raised_at": raised_at,
        "rule": advice.rule,
        "query": advice.query,
        "confidence": advice.confidence,
        "metric_before": None,
        "metric_after": None,
        "measured": "",
        "decided_by": "",
        "decided_at": None,
        "why": "",
    }
