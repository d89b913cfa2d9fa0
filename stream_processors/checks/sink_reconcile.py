"""Records that got lost, or came twice, between the stages."""

from typing import Final

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.stream_processors.checks.base import Check, Scope, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.facts import STAGE_ROWS

_STAGES: Final = ("consumed", "quarantined", "produced", "inserted")


class SinkReconcile(Check):
    """By how many records the stages differ: consumed - quarantined = produced = inserted."""

    name = "sink_reconcile"
    dimension = Dimension.ACCURACY
    unit = Unit.ROWS
    summary = "records lost or doubled between the raw topic, quarantine, the valid topic and the warehouse"
    scope = Scope.FILE

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} records may be lost or doubled between the raw topic and the warehouse"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the greatest difference between two stages."""
        found = view.facts.get(STAGE_ROWS) or {}
        if missing := [stage for stage in _STAGES if stage not in found]:
            return not_checked(f"not known how many records were {', '.join(missing)}", view.rows)
        consumed, quarantined, produced, inserted = (int(found[stage]) for stage in _STAGES)
        if not consumed:
            return not_checked("no rows", view.rows)
        accepted = consumed - quarantined
        worst = max(abs(accepted - produced), abs(produced - inserted), abs(accepted - inserted))
        detail = (
            f"{consumed:,} consumed - {quarantined:,} quarantined = {accepted:,}; "
            f"{produced:,} produced, {inserted:,} inserted"
        )
        return against_bounds(rule, worst, rows=consumed, at_risk=worst, detail=detail)
