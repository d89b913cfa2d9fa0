"""What following an advice from stored values would win, and which of the contract's rules measures that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from headrace.schemas.check_rules import Bounds
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.steps.advice import Advice
from headrace.stream_processors.steps.score import FULL, loss

MEASURED_BY: Final[Mapping[str, frozenset[str]]] = {
    "sentinels": frozenset({"missing_rate"}),
    "digit_heaping": frozenset({"dominance_heaping"}),
    "absent_field": frozenset({"null_rate", "missing_rate"}),
    "near_categories": frozenset({"in_set", "category_drift"}),
    "spelling_variants": frozenset({"in_set", "category_drift"}),
    "personal_data": frozenset({"pii_leak"}),
    "replayed_file": frozenset({"replayed_file"}),
    "replayed_keys": frozenset({"duplicate_key"}),
    "release_regression": frozenset({"parse_errors"}),
    "late_bursts": frozenset({"late_rate", "arrival_delay"}),
    "time_zone": frozenset({"future_time", "late_rate"}),
    "unit_shift": frozenset({"unit_shift"}),
    "under_sampled": frozenset({"segment_coverage"}),
}
"""The checks that measure what an advice from stored values is about."""


def priced(found: Sequence[Advice], verdicts: Sequence[Mapping[str, Any]], rows: int) -> list[Advice]:
    """Return advice with its gain and the rule that measures it; `verdicts` are the newest window's, `rows` all rows.

    Where a rule measures what was found, it is what that rule costs now. Where none does, or it passes, it is what one
    more rule of weight 1 that demands none of it would cost: that is what a contract that asks for it would show.
    """
    whole = sum(one["weight"] for one in verdicts)
    return [_priced(one, verdicts, whole, rows) for one in found]


def _priced(one: Advice, verdicts: Sequence[Mapping[str, Any]], whole: float, rows: int) -> Advice:
    wanted = MEASURED_BY.get(one.symptom, frozenset())
    measuring = [
        verdict
        for verdict in verdicts
        if verdict["check"] in wanted and (not one.field or _names(one.field) & _names(verdict["field"]))
    ]
    rule = max(measuring, key=lambda verdict: (verdict["loss"] * verdict["weight"], verdict["rule"]), default=None)
    if rule is not None and rule["loss"]:
        return replace(one, rule=rule["rule"], expected_gain=FULL * rule["weight"] * rule["loss"] / whole)
    points = FULL * _demanding_none(one, rows) / (whole + 1.0)
    return replace(one, rule=rule["rule"] if rule else "", expected_gain=points)


def _demanding_none(one: Advice, rows: int) -> float:
    """Return the loss of a rule that tolerates no percent of the rows concerned."""
    if not rows:
        return 0.0
    at_risk = min(one.rows_at_risk, rows)
    share = FULL * at_risk / rows
    return loss(Verdict(Outcome.FAIL, share, bounds=Bounds(upper=0.0), rows=rows, rows_at_risk=at_risk))


def _names(fields: str) -> set[str]:
    return set(fields.split(", "))
