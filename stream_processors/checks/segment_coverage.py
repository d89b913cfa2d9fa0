"""Segments that a window must have records of."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier, literal
from headrace.stream_processors.checks.base import (
    Check,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand, fields_problem

_ALL = Bounds(lower=100.0)
_TAKEN = frozenset({Kind.TEXT, Kind.WHOLE, Kind.DATE, Kind.BOOLEAN})


class SegmentCoverage(Check):
    """How many of the expected values of a field have enough records in a window; by default all must."""

    name = "segment_coverage"
    dimension = Dimension.COVERAGE
    unit = Unit.PERCENT
    summary = "expected segments (stations, carriers, regions) that have enough records"
    needs_fields = 1

    class Model(Parameters):
        """Its parameters."""

        segments: list[str | int | bool] = Field(
            description="The values that are expected; dates as texts.", min_length=1, max_length=200
        )
        at_least: int = Field(default=1, ge=1, description="Records that each of them must have.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field cannot be divided by, or that the bound is missing."""
        if rule.unit is not Unit.PERCENT and rule.bounds is None:
            return "segment_coverage without a bound counts in percent: leave the unit out"
        return fields_problem(rule, kinds, _TAKEN)

    def _texts(self, rule: CheckRule) -> list[str]:
        return [str(value).lower() if isinstance(value, bool) else str(value) for value in self._segments(rule)]

    def _segments(self, rule: CheckRule) -> list[str | int | bool]:
        return given(self.Model, rule).segments

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the records of each segment."""
        text = pl.col(rule.fields[0]).cast(pl.String)
        return {f"segment_{place}": (text == value).sum() for place, value in enumerate(self._texts(rule))}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts in ClickHouse."""
        text = f"toString({identifier(rule.fields[0])})"
        texts = enumerate(self._texts(rule))
        return {f"segment_{place}": f"countIf(ifNull({text} = {literal(value)}, false))" for place, value in texts}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        chosen = given(self.Model, rule)
        count = f"{chosen.at_least} record{'s' if chosen.at_least > 1 else ''}"
        whole = f"the {len(chosen.segments)} expected values of {rule.fields[0]}"
        return f"{demand(rule, _ALL)} of {whole} must have {count} or more"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of segments with enough records."""
        if not view.rows:
            return not_checked("no rows")
        least, texts = given(self.Model, rule).at_least, self._texts(rule)
        found = [view.counts.get(f"segment_{place}", 0) for place in range(len(texts))]
        thin = [f"{text} ({count})" for text, count in zip(texts, found, strict=True) if count < least]
        covered = len(texts) - len(thin)
        share = 100.0 * covered / len(texts)
        detail = f"{covered} of {len(texts)} values of {rule.fields[0]} have {least} or more records"
        detail += f"; too few: {', '.join(thin[:5])}" if thin else ""
        observed = share if rule.unit is Unit.PERCENT else float(covered)
        at_risk = sum(count for count in found if count < least)
        return against_bounds(rule, observed, rows=view.rows, at_risk=at_risk, detail=detail, unless=_ALL)
