"""Asks the warehouse for the figures of a dataset's stored values, and returns what they call for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.schemas.contract import Contract, ContractField
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.pii_leak import PATTERNS
from headrace.stream_processors.steps import survey_sources_sql as sources_sql
from headrace.stream_processors.steps import survey_sql
from headrace.stream_processors.steps.advice import Advice, ranked
from headrace.stream_processors.steps.advice_price import priced
from headrace.stream_processors.steps.row_conditions import delay_secs
from headrace.stream_processors.steps.segment_sql import MOST_VALUES, candidates
from headrace.stream_processors.steps.survey import Facts, copies, survey, unread
from headrace.stream_processors.steps.survey_sources import Source, bursts, hour_offsets, other_units, twins
from headrace.transport.warehouse import Warehouse

_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER})
_SHOWN = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.BOOLEAN})


class Surveyor:
    """Calls block; they raise ServiceUnreachable and WarehouseRefused."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def advice(self, contract: Contract, verdicts: Sequence[Mapping[str, Any]] = ()) -> list[Advice]:
        """Return the advice on all fields that are not personal, on sources and on files, ranked by what it would win.

        `verdicts` are those of the newest window: they say what a rule that measures it costs now.
        """
        facts = [self.facts(contract, field) for field in contract.fields if not field.personal]
        found = [one for each in facts for one in survey(each)]
        query = survey_sql.copies_query(contract.dataset)
        found += copies(contract.dataset, [(str(name), str(first)) for name, first in self._rows(query)], query)
        query = survey_sql.unread_query(contract.dataset)
        bad = [(str(name), int(count), int(rows)) for name, count, rows in self._rows(query)]
        found += unread(contract.dataset, bad, query)
        found += self._of_sources(contract, facts)
        return ranked(priced(found, verdicts, max((each.rows for each in facts), default=0)))

    def _of_sources(self, contract: Contract, facts: Sequence[Facts]) -> Iterator[Advice]:
        """Yield the advice on what tells one source from the others."""
        dataset, time = contract.dataset, contract.window.time_field
        columns = [one.field for one in facts if one.field in candidates(contract) and 1 < one.distinct <= MOST_VALUES]
        if time:
            query = sources_sql.late_hours_query(contract)
            hours = [(int(hour), int(late), int(days)) for hour, late, days in self._rows(query)]
            yield from bursts(dataset, hours, query)
            delay = delay_secs(contract)
            query, found = self._sources(contract, delay, [*columns, "_file"], (0.05, 0.5, 0.95))
            yield from hour_offsets(dataset, time, found, query)
        for one in facts:
            if one.number and one.present and (others := [name for name in columns if name != one.field]):
                query, found = self._sources(contract, identifier(one.field), others, (0.25, 0.5, 0.75))
                yield from other_units(dataset, one.field, found, query)
        for keys in {rule.fields for rule in contract.checks if rule.check == "duplicate_key"}:
            if not any(field.personal for field in contract.fields if field.name in keys):
                query = sources_sql.twins_query(contract, keys)
                same = [(str(first), str(other), int(rows)) for first, other, rows in self._rows(query)]
                yield from twins(dataset, keys, same, query)

    def _sources(
        self, contract: Contract, figure: str, columns: Sequence[str], shares: Sequence[float]
    ) -> tuple[str, list[Source]]:
        query = sources_sql.sources_query(contract, figure, columns, shares)
        return query, [
            Source(str(column), str(value), int(rows), *map(float, quantiles))
            for column, value, rows, quantiles in self._rows(query)
        ]

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
