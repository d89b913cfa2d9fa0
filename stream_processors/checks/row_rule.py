"""Records that break a rule over their own fields."""

from collections.abc import Mapping
from functools import lru_cache

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas import rules
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import KIND_OF, Expression, Kind
from headrace.schemas.expression_parser import ExpressionInvalid, parse_expression
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given
from headrace.stream_processors.checks.common import counted_verdict, demand
from headrace.stream_processors.checks.expression_sql import expression_sql
from headrace.stream_processors.steps.row_checks import broken_rows


class RowRule(Check):
    """How many records make an SQL expression over their fields false."""

    name = "row_rule"
    dimension = Dimension.CONSISTENCY
    unit = Unit.PERCENT
    summary = "records that break an expression over their fields, e.g. arr_time >= dep_time"
    reason = Reason.ROW_RULE

    class Model(Parameters):
        """Parameters."""

        expression: str = Field(description="SQL expression that must not be false; unknown (null) breaks nothing.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the expression cannot be followed."""
        text = given(self.Model, rule).expression
        try:
            parse_expression(text, kinds)
        except ExpressionInvalid as error:
            return f"expression {text!r}: {error}"
        return ""

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows for which it is false."""
        return broken_rows(rules.RowRule(self._expression(rule)), "", FieldType.BOOLEAN)

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        return {"failed": f"countIf(not({expression_sql(self._expression(rule).node)}))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of the records may break {self._expression(rule).text}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of records that break it."""
        return counted_verdict(rule, view, f"break {self._expression(rule).text}")

    def _expression(self, rule: CheckRule) -> Expression:
        kinds = tuple((name, KIND_OF[kind]) for name, kind in rule.types.items())
        return _parsed(given(self.Model, rule).expression, kinds)


@lru_cache(maxsize=1024)
def _parsed(text: str, kinds: tuple[tuple[str, Kind], ...]) -> Expression:
    return parse_expression(text, dict(kinds))
