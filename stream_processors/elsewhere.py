"""What other datasets say of the days on which a finding is: e.g. the weather on the days of cancelled flights."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from headrace.schemas.contract import Contract
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import DATABASE, identifier, literal, table_name
from headrace.stream_processors.steps.segment_sql import TIME_WORDS, event_column
from headrace.transport.warehouse import Warehouse

_MOST_DATASETS, _MOST_FIELDS, _SHOWN = 10, 40, 3
_LEAST_DAYS, _NEAR_DAYS, _DEVIATIONS = 30, 60, 2.5
_NUMBERS: Final = frozenset({Kind.NUMBER, Kind.WHOLE})


class Elsewhere:
    """Asks the datasets that share the name of the event time. Calls block, as the warehouse's.

    `law` gives a dataset's contract; one without is not looked at, since nobody can say what in it is personal.
    """

    def __init__(self, warehouse: Warehouse, law: Callable[[str], Contract | None]) -> None:
        self._warehouse, self._law = warehouse, law

    def on_days(self, contract: Contract, days: Sequence[str]) -> tuple[str, ...]:
        """Return a sentence for each dataset whose daily means were far from usual on these days.

        Usual is what the other days within 60 days of one of them had, so a winter's day is compared with winter's; far
        are 2.5 standard errors of a mean over so many days.
        """
        name = contract.window.time_field
        if not name or not days:
            return ()
        others = [self._law(table) for table in self._tables(contract.dataset, name)]
        told = [self._told(other, days) for other in others if other is not None and other.window.time_field == name]
        return tuple(filter(None, told))

    def _tables(self, own: str, name: str) -> list[str]:
        query = (
            f"SELECT table FROM system.columns WHERE database = {literal(DATABASE)} AND name = {literal(name)} "  # noqa: S608
            f"AND table != {literal(own)} ORDER BY table LIMIT {_MOST_DATASETS:d}"
        )
        return [str(table) for (table,) in self._warehouse.rows(query)]

    def _told(self, other: Contract, days: Sequence[str]) -> str:
        names = [
            one.name
            for one in other.fields
            if KIND_OF[one.type.type] in _NUMBERS and not one.personal and one.name not in TIME_WORDS
        ][:_MOST_FIELDS]
        if not names:
            return ""
        known, *figures = self._warehouse.rows(days_query(other, names, days))[0]
        found = sorted(_far(names, figures, len(days)), reverse=True) if known >= _LEAST_DAYS else []
        shown = ", ".join(f"{name} {seen:.3g} where {usual:.3g} is usual" for _, name, seen, usual in found[:_SHOWN])
        return f"{other.dataset} on these days: {shown}" if shown else ""


def days_query(other: Contract, names: Sequence[str], days: Sequence[str]) -> str:
    """Return the query for the number of other days, and of each field mean on the days, mean and deviation else."""
    listed = ", ".join(f"toDate({literal(day)})" for day in days)
    near = " OR ".join(f"abs(`_day` - toDate({literal(day)})) <= {_NEAR_DAYS:d}" for day in days)
    usual = f"`_day` NOT IN ({listed}) AND ({near})"
    means = ", ".join(f"avg({identifier(name)}) AS {identifier(name)}" for name in names)
    daily = f"SELECT toDate({event_column(other)}) AS `_day`, {means} FROM {table_name(other.dataset)} GROUP BY `_day`"  # noqa: S608
    figures = ", ".join(
        f"avgIf({column}, `_day` IN ({listed})), avgIf({column}, {usual}), stddevPopIf({column}, {usual})"
        for column in map(identifier, names)
    )
    return f"SELECT countIf({usual}), {figures} FROM ({daily})"  # noqa: S608


def _far(names: Sequence[str], figures: Sequence[Any], days: int) -> list[tuple[float, str, float, float]]:
    found = []
    for at, name in enumerate(names):
        seen, usual, spread = (
            float("nan") if value is None else float(value) for value in figures[3 * at : 3 * at + 3]
        )
        if spread > 0 and (far := abs(seen - usual) / spread * math.sqrt(days)) >= _DEVIATIONS:
            found.append((far, name, seen, usual))
    return found
