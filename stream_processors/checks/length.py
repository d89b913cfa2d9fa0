"""Texts that are too short or too long."""

from collections.abc import Mapping

from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas import rules
from headrace.schemas.check_rules import CheckRule, Dimension
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Parameters, given
from headrace.stream_processors.checks.common import TEXTS, RowCheck, demand, fields_problem, named


class Length(RowCheck):
    """How many records have a text with fewer or more characters than allowed."""

    name = "length"
    dimension = Dimension.CONFORMITY
    summary = "texts shorter or longer than allowed"
    reason = Reason.BAD_LENGTH
    what = "a text of a wrong length"

    class Model(Parameters):
        """Parameters."""

        minimum: int | None = Field(default=None, ge=0, description="Least number of characters (code points).")
        maximum: int | None = Field(default=None, ge=0, description="Greatest number of characters.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the lengths cannot be followed."""
        if found := fields_problem(rule, kinds, TEXTS):
            return found
        values = given(self.Model, rule)
        if values.minimum is None and values.maximum is None:
            return "it needs a minimum or a maximum"
        if values.minimum is not None and values.maximum is not None and values.minimum > values.maximum:
            return f"minimum {values.minimum} is above maximum {values.maximum}"
        return ""

    def row_demand(self, rule: CheckRule) -> rules.Length:
        """Return the lengths."""
        values = given(self.Model, rule)
        return rules.Length(values.minimum, values.maximum)

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        high = "any number of" if values.maximum is None else values.maximum
        return (
            f"{demand(rule)} of {named(rule)} may have another length than {values.minimum or 0} to {high} characters"
        )
