"""Characters that a text should not have."""

from collections.abc import Mapping
from typing import Final

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier, literal
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given
from headrace.stream_processors.checks.common import TEXTS, counted_verdict, demand, named
from headrace.stream_processors.checks.timing import names_problem

# The replacement character, what is no character at all, and control characters but tab and line ends.
_UNPRINTABLE: Final = r"[\x{0}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{7F}-\x{9F}\x{FFFD}-\x{FFFF}]"
# UTF-8 that was read as Latin-1 or Windows-1252: Ã¤, Â°, â€œ
_TWICE: Final = r"[\x{C2}\x{C3}][\x{80}-\x{BF}]|\x{E2}\x{20AC}|\x{EF}\x{BF}\x{BD}"


class Encoding(Check):
    """How many records have characters that a wrong decoding leaves behind, or that cannot be printed."""

    name = "encoding"
    dimension = Dimension.CONFORMITY
    unit = Unit.PERCENT
    summary = "texts with replacement or control characters, or with UTF-8 that was decoded twice"
    needs_fields = 1
    reason = Reason.BAD_ENCODING

    class Model(Parameters):
        """Its parameters."""

        decoded_twice: bool = Field(
            default=True, description="Whether to look for UTF-8 that was read as Latin-1 as well, e.g. Ã¤ for ä."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is no text."""
        return names_problem(rule.fields, kinds, TEXTS)

    def _pattern(self, rule: CheckRule) -> str:
        return f"{_UNPRINTABLE}|{_TWICE}" if given(self.Model, rule).decoded_twice else _UNPRINTABLE

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows with such a character in any of the fields."""
        return pl.any_horizontal(pl.col(name).str.contains(self._pattern(rule)) for name in rule.fields)

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        pattern = literal(self._pattern(rule))
        found = " OR ".join(f"ifNull(match({identifier(name)}, {pattern}), false)" for name in rule.fields)
        return {"failed": f"countIf({found})"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of the records may have unreadable characters in {named(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of such records."""
        return counted_verdict(rule, view, f"have unreadable characters in {named(rule)}")
