"""What several checks share: which fields they take, checks of single rows, the words of a demand."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar, Final, TypeVar

import polars as pl

from headrace.errors import WrongUse
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.record import FieldType
from headrace.schemas.rules import Check as RowDemand
from headrace.stream_processors.checks.base import (
    Check,
    FieldFigure,
    Verdict,
    View,
    against_bounds,
    not_checked,
    share_verdict,
)
from headrace.stream_processors.checks.row_sql import broken_sql
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.steps.row_checks import broken_rows

NUMBERS: Final = frozenset({Kind.WHOLE, Kind.NUMBER})
TEXTS: Final = frozenset({Kind.TEXT})
C = TypeVar("C", bound=Cell)
FRACTIONS: Final = frozenset({FieldType.FLOAT, FieldType.DOUBLE})


def fields_problem(
    rule: CheckRule, kinds: Mapping[str, Kind], allowed: Collection[Kind] = frozenset(Kind), most: int = 1
) -> str:
    """Return why the fields are not what a check can look at: 1 to `most` known fields of the allowed kinds.

    >>> fields_problem(CheckRule("r", "pattern", ("n",)), {"n": Kind.WHOLE}, TEXTS)
    'field "n" is a whole number, it takes text'
    """
    if not 1 <= len(rule.fields) <= most:
        return f"it takes {'one field' if most == 1 else f'1 to {most} fields'}, not {len(rule.fields)}"
    for name in rule.fields:
        if name not in kinds:
            return f'field "{name}" is not in the contract'
        if kinds[name] not in allowed:
            return f'field "{name}" is a {kinds[name]}, it takes {" or ".join(sorted(allowed))}'
    return ""


def field_type(rule: CheckRule, name: str) -> FieldType:
    """Return the type of a field; raises WrongUse for a rule without types, which no contract makes."""
    if name not in rule.types:
        raise WrongUse(f'check "{rule.id}": the type of field "{name}" is unknown', hint="set CheckRule.types")
    return rule.types[name]


def demand(rule: CheckRule, unless: Bounds | None = None) -> str:
    """Return the rule's bounds in words; without bounds those given, else exactly 0."""
    return (rule.bounds or unless or Bounds(upper=0.0)).spoken(rule.unit)


def named(rule: CheckRule) -> str:
    """Return the rule's fields in words."""
    return ", ".join(rule.fields)


class RowCheck(Check):
    """A check that judges each row by one of the demands of schemas/rules.py and counts the rows that break it."""

    unit = Unit.PERCENT
    needs_fields = 1
    what: ClassVar[str] = "a value that breaks the rule"

    @abstractmethod
    def row_demand(self, rule: CheckRule) -> RowDemand:
        """Return the demand on one row."""

    def broken(self, rule: CheckRule) -> pl.Expr | None:
        """Return the rows that break the demand."""
        return broken_rows(self.row_demand(rule), rule.fields[0], field_type(rule, rule.fields[0]))

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return the count of rows that break the demand, in ClickHouse."""
        broken = broken_sql(self.row_demand(rule), rule.fields[0], field_type(rule, rule.fields[0]))
        return {"failed": f"countIf({broken})"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of {named(rule)} may be {self.what}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of rows that break it."""
        return counted_verdict(rule, view, f"have in {named(rule)} {self.what}")


def counted_verdict(rule: CheckRule, view: View, what: str) -> Verdict:
    """Return the verdict on the figure `failed`; not checked where nothing counted it."""
    if view.rows and "failed" not in view.counts:
        return not_checked("its rows were not counted", view.rows)
    return share_verdict(rule, view.counts.get("failed", 0), view.rows, what)


def profile_cell(view: View, name: str, figure: FieldFigure, kind: type[C]) -> C:
    """Return a figure of a field's profile; the empty cell where the profile has none."""
    cell = view.fields.get(name, {}).get(figure)
    return cell if isinstance(cell, kind) else kind()


def own_cell(view: View, name: str, kind: type[C]) -> C:
    """Return a cell of the rule itself; the empty cell where there is none."""
    cell = view.cells.get(name)
    return cell if isinstance(cell, kind) else kind()


def bounds_problem(rule: CheckRule) -> str:
    """Return that the rule has no bounds, where the check has none of its own."""
    return "" if rule.bounds else "it needs a threshold: add mustBe, mustBeBetween, mustBeLessThan, ..."


def bounded(
    rule: CheckRule, unless: Bounds, observed: float, *, rows: int, at_risk: int, detail: str, error: float = 0.0
) -> Verdict:
    """Return `against_bounds` for a check that has bounds of its own where the contract says none."""
    asked = rule if rule.bounds else replace(rule, bounds=unless)
    return against_bounds(asked, observed, rows=rows, at_risk=at_risk, detail=detail, error=error)
