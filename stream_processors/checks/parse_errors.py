"""Records that could not be read."""

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import Check, Scope, Verdict, View, not_checked, share_verdict
from headrace.stream_processors.checks.common import demand


class ParseErrors(Check):
    """How many lines or messages the reader or the decoder had to put aside, and from where they came."""

    name = "parse_errors"
    dimension = Dimension.CONFORMITY
    unit = Unit.PERCENT
    summary = "lines or messages that could not be read, by source"
    scope = Scope.ARRIVAL

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of the lines or messages may be unreadable"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of what could not be read among all that came in."""
        unreadable = view.facts.get(facts.UNREADABLE_ROWS)
        if unreadable is None:
            return not_checked("what could not be read is unknown", view.rows)
        failed = sum(unreadable.values())
        came_in = max(view.rows + failed, sum(view.facts.get(facts.FILE_ROWS, {}).values()))
        worst = max(unreadable, key=lambda source: unreadable[source], default="")
        where = f", most of them from {worst}" if failed else ""
        return share_verdict(rule, failed, came_in, f"could not be read{where}")
