"""Schemas that were not there before."""

from collections.abc import Mapping
from typing import Literal

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import (
    SCHEMA_ID,
    Check,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.tally import Tally


class SchemaChange(Check):
    """How many schemas of a window are new, and changed in a way that the rule does not allow."""

    name = "schema_change"
    dimension = Dimension.CONSISTENCY
    unit = Unit.VALUE
    summary = "new schemas of the records, by the class of their change"

    class Model(Parameters):
        """Its parameters."""

        allow: Literal["none", "compatible"] = Field(
            default="compatible", description="Changes that are fine: none, or those that old readers understand."
        )

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the records of each window by schema."""
        if SCHEMA_ID not in batch.columns:
            return {}
        return {start: {"schemas": cell} for start, cell in Tally.by_window(batch, SCHEMA_ID).items()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        which = "new" if given(self.Model, rule).allow == "none" else "incompatible new"
        return f"{demand(rule)} {which} schemas may appear"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number of changes that are not allowed; a first schema is no change."""
        cell, known = view.cells.get("schemas"), view.facts.get(facts.KNOWN_SCHEMAS)
        if not isinstance(cell, Tally) or not cell.counts:
            return not_checked("no record's schema is known" if view.rows else "no rows", view.rows)
        if known is None:
            return not_checked("the schemas of earlier windows are unknown", view.rows)
        seen = sorted(int(name) for name in cell.counts)
        earlier = set(known) or {seen[0]}
        changes: Mapping[int, str] = view.facts.get(facts.SCHEMA_CHANGES, {})
        new = {schema: changes.get(schema, "unknown") for schema in seen if schema not in earlier}
        compatible = given(self.Model, rule).allow == "compatible"
        wrong = [schema for schema, change in new.items() if not (compatible and change == "compatible")]
        listed = ", ".join(f"{schema} ({change})" for schema, change in new.items())
        detail = f"new schemas: {listed}" if new else f"schema {', '.join(map(str, seen))}, as before"
        at_risk = sum(cell.counts[str(schema)] for schema in wrong)
        return against_bounds(rule, float(len(wrong)), rows=view.rows, at_risk=at_risk, detail=detail)
