"""Nulls of a field."""

from collections.abc import Mapping

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.stream_processors.checks.base import Check, Verdict, View, share_verdict


class NullRate(Check):
    """How many records have no value in a field."""

    name = "null_rate"
    dimension = Dimension.COMPLETENESS
    unit = Unit.PERCENT
    summary = "records without a value in a field"
    needs_fields = 1
    reason = Reason.REQUIRED

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows without a value."""
        return pl.col(rule.fields[0]).is_null()

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        return {"failed": f"countIf(isNull(`{rule.fields[0]}`))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{(rule.bounds or Bounds(upper=0.0)).spoken(rule.unit)} of {rule.fields[0]} may be missing"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of nulls."""
        return share_verdict(rule, view.counts.get("failed", 0), view.rows, f"have no {rule.fields[0]}")
