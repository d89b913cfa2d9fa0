"""Values that are not in a well-known format."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given
from headrace.stream_processors.checks.common import counted_verdict, demand, field_type, fields_problem, named
from headrace.stream_processors.checks.formats import FORMATS
from headrace.stream_processors.checks.formats import Format as Known
from headrace.stream_processors.checks.row_sql import broken_sql
from headrace.stream_processors.steps.row_checks import broken_rows


class Format(Check):
    """How many records have a value that is no e-mail address, date, country code, IBAN, ..."""

    name = "format"
    dimension = Dimension.CONFORMITY
    unit = Unit.PERCENT
    summary = "values that are not in a well-known format, with check digits where it has them"
    needs_fields = 1
    reason = Reason.PATTERN_MISMATCH

    class Model(Parameters):
        """Parameters."""

        format: str = Field(
            description=f"One of {', '.join(FORMATS)}. ISBN and IBAN may have spaces, ISBN hyphens too.",
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the format cannot be asked of the field."""
        name = given(self.Model, rule).format
        if name not in FORMATS:
            return f'format "{name}" is not known: write one of {", ".join(FORMATS)}'
        return fields_problem(rule, kinds, FORMATS[name].kinds)

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows whose value is not in the format."""
        known, name, kind = self._known(rule), rule.fields[0], field_type(rule, rule.fields[0])
        if known.numbers and KIND_OF[kind] is not Kind.TEXT:
            return broken_rows(known.numbers, name, kind)
        return ~known.fits(pl.col(name).cast(pl.String))

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return the count in ClickHouse; an IBAN cannot be told there."""
        known, name, kind = self._known(rule), rule.fields[0], field_type(rule, rule.fields[0])
        if known.numbers and KIND_OF[kind] is not Kind.TEXT:
            return {"failed": f"countIf({broken_sql(known.numbers, name, kind)})"}
        column = identifier(name)
        fits = known.fits_sql(f"toString({column})")
        return None if fits is None else {"failed": f"countIf(isNotNull({column}) AND NOT ({fits}))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of {named(rule)} may be something else than {self._known(rule).spoken}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of values that are not in the format."""
        return counted_verdict(rule, view, f"have in {named(rule)} something else than {self._known(rule).spoken}")

    def _known(self, rule: CheckRule) -> Known:
        return FORMATS[given(self.Model, rule).format]
