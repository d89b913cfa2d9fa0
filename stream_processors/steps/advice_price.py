"""What following an advice from stored values would win, and which of the contract's rules measures that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from headrace.schemas.check_rules import Bounds
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.steps.advice import Advice
from headrace.stream_processors.steps.score import FULL, loss

MEASURED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "sentinels": ("missing_rate",),
    "digit_heaping": ("dominance_heaping",),
    "absent_field": (
        "null_rate",
        "missing_rate",
    ),
    "near_categories": (
        "in_set",
        "category_drift",
    ),
    "spelling_variants": (
        "in_set",
        "category_drift",
    ),
    "personal_data": ("pii_leak",),
    "replayed_file": ("replayed_file",),
    "replayed_keys": ("duplicate_key",),
    "release_regression": ("parse_errors",),
    "late_bursts": (
        "late_rate",
        "arrival_delay",
    ),
    "time_zone": (
        "future_time",
        "late_rate",
    ),
    "unit_shift": ("unit_shift",),
    "under_sampled": ("segment_coverage",),
}
"""The checks that measure what an advice from stored values is about, the nearest first."""


def priced(found: Sequence[Advice], verdicts: Sequence[Mapping[str, Any]], rows: int) -> list[Advice]:
    """Return advice with its gain and the rule that measures it; `verdicts` are the newest window's, `rows` all rows.

    Where a rule measures what was found, it is what that rule costs now. Where none does, or it passes, it is what one
    more rule of weight 1 that demands none of it would cost: that is what a contract that asks for it would show.
    """
    whole = sum(one["weight"] for one in verdicts)
    return [_priced(one, verdicts, whole, rows) for one in found]


def _priced(one: Advice, verdicts: Sequence[Mapping[str, Any]], whole: float, rows: int) -> Advice:
    names = _names(one.field) if one.field else set()
    wanted = MEASURED_BY.get(one.symptom, ())
    mine = [verdict for verdict in verdicts if verdict["check"] in wanted]
    # A rule that names no field looks at all of them, or at event time.
    measuring = [verdict for verdict in mine if not (names and verdict["field"]) or names & _names(verdict["field"])]
    costly = sorted(measuring, key=lambda found: (-found["loss"] * found["weight"], wanted.index(found["check"])))
    rule = costly[0] if costly else None
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
