"""Values that are required in some records only."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import KIND_OF, Expression, Kind
from headrace.schemas.expression_parser import ExpressionInvalid, parse_expression
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given, not_checked, share_verdict
from headrace.stream_processors.checks.common import demand, fields_problem
from headrace.stream_processors.checks.expression_sql import expression_sql
from headrace.stream_processors.steps.row_rules import row_expression


class ConditionalRequired(Check):
    """How many of the records that a condition picks out have no value in a field."""

    name = "conditional_required"
    dimension = Dimension.COMPLETENESS
    unit = Unit.PERCENT
    summary = "records without a value in a field although a condition on other fields asks for one"
    needs_fields = 1
    reason = Reason.REQUIRED

    class Model(Parameters):
        """Its parameters."""

        when: str = Field(
            description="Row rule that says which records need the value, e.g. `dep_time is not null`.", min_length=1
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is unknown or the condition cannot be followed."""
        try:
            parse_expression(given(self.Model, rule).when, kinds)
        except ExpressionInvalid as error:
            return f"when: {error}"
        return fields_problem(rule, kinds)

    def _when(self, rule: CheckRule) -> Expression:
        kinds = {name: KIND_OF[kind] for name, kind in rule.types.items()}
        return parse_expression(given(self.Model, rule).when, kinds)

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows that the condition picks out and that have no value."""
        return row_expression(self._when(rule).node) & pl.col(rule.fields[0]).is_null()

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return how many records the condition picks out, and how many of them have no value."""
        picked = row_expression(self._when(rule).node).fill_null(value=False)
        return {"picked": picked.sum(), "failed": (picked & pl.col(rule.fields[0]).is_null()).sum()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts in ClickHouse."""
        picked = f"ifNull({expression_sql(self._when(rule).node)}, false)"
        return {
            "picked": f"countIf({picked})",
            "failed": f"countIf({picked} AND isNull({identifier(rule.fields[0])}))",
        }

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"where {given(self.Model, rule).when}, {demand(rule)} of {rule.fields[0]} may be missing"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of missing values among the records that need one."""
        picked = view.counts.get("picked", 0)
        if not picked:
            return not_checked(f"no record where {given(self.Model, rule).when}", view.rows)
        return share_verdict(rule, view.counts.get("failed", 0), picked, f"have no {rule.fields[0]}")
