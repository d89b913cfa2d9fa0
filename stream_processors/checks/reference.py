"""Keys that another dataset does not have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from pydantic import Field

from headrace.core.identity import dataset_name_problem
from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier, table_name
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given, not_checked
from headrace.stream_processors.checks.common import counted_verdict, demand, fields_problem, named

KEYS: Final = "keys"
"""The name in `CheckRule.prepared` under which the engine puts the `KnownKeys` of the other dataset."""
_MOST_FIELDS = 8


@dataclass(frozen=True)
class KnownKeys:
    """The keys of the other dataset: one column for each of the rule's fields, in their order, of equal types.

    The engine reads them from the warehouse's table or a compacted topic before the first batch and from time to time
    afterwards (`dataclasses.replace(rule, prepared={KEYS: KnownKeys(frame)})`). A key that came in since is not known.
    """

    frame: pl.DataFrame

    def missing(self, fields: tuple[str, ...]) -> pl.Expr:
        """Return the expression that is true for rows whose key is not among these; null where a part is missing."""
        if len(fields) == 1:
            return ~pl.col(fields[0]).is_in(self.frame.to_series(0).drop_nulls().unique().implode())
        keys = self.frame.rename(dict(zip(self.frame.columns, fields, strict=True))).drop_nulls().unique()
        complete = pl.all_horizontal(pl.col(name).is_not_null() for name in fields)
        return pl.when(complete).then(~pl.struct(fields).is_in(keys.to_struct("keys").implode()))


class Reference(Check):
    """How many records name something that another dataset does not have."""

    name = "reference"
    dimension = Dimension.CONSISTENCY
    unit = Unit.PERCENT
    summary = "keys that another dataset does not have"
    needs_fields = 1
    reason = Reason.UNKNOWN_REFERENCE

    class Model(Parameters):
        """Parameters."""

        dataset: str = Field(description="The dataset that must have the keys.")
        keys: list[str] = Field(default=[], description="Its key fields; by default those of the same names.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the reference cannot be followed."""
        values = given(self.Model, rule)
        if found := fields_problem(rule, kinds, frozenset(Kind) - {Kind.NUMBER}, _MOST_FIELDS):
            return found
        if values.keys and len(values.keys) != len(rule.fields):
            return f"{len(rule.fields)} fields cannot be found by {len(values.keys)} key fields"
        return dataset_name_problem(values.dataset)

    def broken(self, rule: CheckRule) -> pl.Expr | None:
        """Return the rows whose key is not known; none as long as the keys were not read. No row is rejected."""
        keys = rule.prepared.get(KEYS)
        return keys.missing(rule.fields) if isinstance(keys, KnownKeys) else None

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the rows with an unknown key as `failed`; the rows that came before the keys as `blind`."""
        return super().figures(rule) or {"blind": pl.len()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse, against the other dataset's table."""
        values = given(self.Model, rule)
        own = ", ".join(identifier(name) for name in rule.fields)
        other = ", ".join(identifier(name) for name in values.keys or rule.fields)
        complete = " AND ".join(f"isNotNull({identifier(name)})" for name in rule.fields)
        keys = f"SELECT {other} FROM {table_name(values.dataset)}"  # noqa: S608 - names are checked and quoted
        return {"failed": f"countIf({complete} AND ({own}) NOT IN ({keys}))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of {named(rule)} may be unknown to {given(self.Model, rule).dataset}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of unknown keys."""
        other = given(self.Model, rule).dataset
        if blind := view.counts.get("blind", 0):
            return not_checked(f"{blind:,} records came before the keys of {other} were read", view.rows)
        return counted_verdict(rule, view, f"have in {named(rule)} what {other} does not have")
