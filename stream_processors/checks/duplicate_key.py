"""Keys that come twice."""

from collections.abc import Mapping

import polars as pl

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import (
    Check,
    Scope,
    Verdict,
    View,
    against_bounds,
    beyond_doubt,
    not_checked,
)
from headrace.stream_processors.checks.common import demand, named
from headrace.stream_processors.checks.timing import names_problem
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.keys import KeySet


class DuplicateKey(Check):
    """How many records of a window or file repeat a key; records without a whole key are left out.

    Exact within each file, whose keys the warehouse counts once its receipt came. Across the files of a window it is
    exact as long as the keys themselves fit into the state, afterwards an estimate: where its error reaches over the
    bound, it is not checked. It judges no rows: which of two equal keys is the right one, no row tells.
    """

    name = "duplicate_key"
    dimension = Dimension.UNIQUENESS
    unit = Unit.PERCENT
    summary = "records that repeat the key of another"
    scope = Scope.BOTH
    needs_fields = 1

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is unknown."""
        return names_problem(rule.fields, kinds)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the keys of each window."""
        return {start: {"keys": cell} for start, cell in KeySet.by_window(batch, list(rule.fields)).items()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts in ClickHouse."""
        names = [identifier(name) for name in rule.fields]
        whole = " AND ".join(f"isNotNull({name})" for name in names)
        return {"keyed": f"countIf({whole})", "unique": f"uniqExactIf(tuple({', '.join(names)}), {whole})"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of the records may repeat a key of {named(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of repeated keys."""
        keys = view.cells.get("keys")
        if isinstance(keys, KeySet):
            keyed, unique, error = keys.rows, keys.unique, keys.error
        else:
            keyed, unique, error = view.counts.get("keyed", 0), float(view.counts.get("unique", 0)), 0.0
        if not keyed:
            return not_checked(f"no record has a whole key of {named(rule)}" if view.rows else "no rows", view.rows)
        repeated = max(keyed - unique, 0.0)
        scale = 100.0 / keyed if rule.unit is Unit.PERCENT else 1.0
        about = "" if not error else f" (estimated, give or take {error:,.0f})"
        detail = f"{repeated:,.0f} of {keyed:,} records repeat a key of {named(rule)}{about}"
        found = against_bounds(
            rule, repeated * scale, rows=view.rows, at_risk=round(repeated), detail=detail, error=error * scale
        )
        return beyond_doubt(found)
