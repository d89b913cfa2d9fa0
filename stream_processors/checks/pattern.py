"""Texts without a match of a regular expression."""

from collections.abc import Mapping
from functools import lru_cache

from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas import rules
from headrace.schemas.check_rules import CheckRule, Dimension
from headrace.schemas.expression import Kind
from headrace.schemas.patterns import PatternInvalid, linear_pattern
from headrace.stream_processors.checks.base import Parameters, given
from headrace.stream_processors.checks.common import TEXTS, RowCheck, demand, fields_problem, named


class Pattern(RowCheck):
    """How many records have a text that does not match a regular expression."""

    name = "pattern"
    dimension = Dimension.CONFORMITY
    summary = "texts that do not match a regular expression"
    reason = Reason.PATTERN_MISMATCH
    what = "a text that does not match"

    class Model(Parameters):
        """Parameters."""

        pattern: str = Field(
            description="Regular expression that must be found in the text: ^ and $ tie it to the ends. "
            "It runs in linear time, so it knows no look-around and no back-references."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the pattern cannot be followed."""
        if found := fields_problem(rule, kinds, TEXTS):
            return found
        text = given(self.Model, rule).pattern
        try:
            _compiled(text)
        except PatternInvalid as error:
            return f"pattern {text!r}: {error}"
        return ""

    def row_demand(self, rule: CheckRule) -> rules.Pattern:
        """Return the pattern."""
        text = given(self.Model, rule).pattern
        return rules.Pattern(text, _compiled(text))

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of {named(rule)} may not match {given(self.Model, rule).pattern}"


@lru_cache(maxsize=1024)
def _compiled(text: str) -> str:
    return linear_pattern(text)
