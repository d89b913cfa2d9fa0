"""Asks the warehouse for the figures of a dataset's stored values, and returns what they call for."""

from typing import Any

from headrace.schemas.contract import Contract, ContractField
from headrace.schemas.expression import KIND_OF, Kind
from headrace.stream_processors.checks.pii_leak import PATTERNS
from headrace.stream_processors.steps import survey_sql
from headrace.stream_processors.steps.advice import Advice, ranked
from headrace.stream_processors.steps.survey import Facts, copies, survey, unread
from headrace.transport.warehouse import Warehouse

_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER})
_SHOWN = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.BOOLEAN})


class Surveyor:
    """Calls block; they raise ServiceUnreachable and WarehouseRefused."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def advice(self, contract: Contract) -> list[Advice]:
        """Return the advice on all fields that are not personal, and on the dataset's files, ranked."""
        found = [one for field in contract.fields if not field.personal for one in survey(self.facts(contract, field))]
        query = survey_sql.copies_query(contract.dataset)
        found += copies(contract.dataset, [(str(name), str(first)) for name, first in self._rows(query)], query)
        query = survey_sql.unread_query(contract.dataset)
        bad = [(str(name), int(count), int(rows)) for name, count, rows in self._rows(query)]
        return ranked([*found, *unread(contract.dataset, bad, query)])

    def facts(self, contract: Contract, field: ContractField) -> Facts:
        """Return the figures of one field."""
        kind = KIND_OF[field.type.type]
        rows, missing, distinct, *numbers = self._rows(survey_sql.figures_query(contract, field))[0]
        queries = {
            "values": survey_sql.values_query(contract, field, 20),
            "missing": survey_sql.missing_query(contract, field),
            "endings": survey_sql.ending_query(contract, field),
        }
        top = self._rows(survey_sql.values_query(contract, field)) if kind in _SHOWN and rows > missing else []
        hits = []
        if kind is Kind.TEXT:
            queries |= {name: survey_sql.personal_query(contract, field, text) for name, text in PATTERNS.items()}
            hits = [(name, int(self._rows(queries[name])[0][0])) for name in PATTERNS]
        low, high, negative, whole, fives = numbers or (0.0, 0.0, 0, 0, 0)
        return Facts(
            contract.dataset,
            field.name,
            int(rows),
            int(missing),
            int(distinct),
            top=[(str(value), int(count)) for value, count in top],
            number=kind in _NUMBERS,
            text=kind is Kind.TEXT,
            low=float(low or 0.0),
            high=float(high or 0.0),
            negative=int(negative),
            whole=int(whole),
            fives=int(fives),
            personal=hits,
            queries=tuple(queries.items()),
        )

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._warehouse.rows(query)
