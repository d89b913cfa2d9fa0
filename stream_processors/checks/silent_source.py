"""Sources that say nothing any more."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import (
    WINDOW,
    Check,
    Outcome,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand, named
from headrace.stream_processors.checks.timing import key_text, names_problem
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.top import TEXT_CHARACTERS


class SilentSource(Check):
    """How many sources (values of the key fields) were not seen for some windows, at the end of this one.

    Expected are the sources that the rule lists, else those of earlier windows (fact `known_sources`). A window without
    any record is looked at, too. With more than 1,000 sources it can fail, but not pass.
    """

    name = "silent_source"
    dimension = Dimension.COVERAGE
    unit = Unit.VALUE
    summary = "sources that sent nothing for a number of windows"
    sees_silence = True
    needs_fields = 1

    class Model(Parameters):
        """Its parameters."""

        sources: list[str] = Field(
            default=[], description="The expected sources; by default those that were seen before.", max_length=1000
        )
        windows: int = Field(default=1, ge=1, description="Windows of silence from which on a source counts as silent.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is unknown."""
        return names_problem(rule.fields, kinds)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the window itself as the time at which its sources were seen: that holds for either clock."""
        time = pl.from_epoch(pl.col(WINDOW)).cast(pl.Datetime("us"))
        rows = batch.select(WINDOW, key_text(rule.fields).alias("key"), time.alias("time"))
        return {start: {"seen": cell} for start, cell in LastSeen.by_window(rows, "key", "time").items()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        count = given(self.Model, rule).windows
        return f"{demand(rule)} of the {named(rule)} may be silent for {count} window{'s' if count > 1 else ''}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number of silent sources."""
        chosen, seen = given(self.Model, rule), view.cells.get("seen")
        here = seen if isinstance(seen, LastSeen) else LastSeen()
        earlier: Mapping[str, int] | None = view.facts.get(facts.KNOWN_SOURCES)
        expected = [source[:TEXT_CHARACTERS] for source in chosen.sources] or list(earlier or {})
        if not expected:
            return not_checked("no source is known from before, and the rule lists none", view.rows)
        since = view.end - chosen.windows * (view.end - view.start)
        if earlier is None and since < view.start:
            return not_checked("what was seen in earlier windows is unknown", view.rows)
        last = {**(earlier or {}), **here.times}
        silent = sorted(source for source in expected if last.get(source, since - 1) < since)
        detail = f"{len(silent)} of {len(expected)} sources are silent" + (
            f": {', '.join(silent[:5])}" if silent else ""
        )
        found = against_bounds(rule, float(len(silent)), rows=view.rows, at_risk=0, detail=detail)
        if found.outcome is Outcome.PASS and not (here.complete and view.rows):
            return not_checked(f"more than {here.limit} sources" if view.rows else "no rows", view.rows)
        return found
