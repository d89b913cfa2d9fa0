"""The keys that checks of kind `reference` compare with: read from the warehouse beside the work, and kept fresh.

The judge never waits for them: until they are there the check counts its rows as not looked at.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from headrace.errors import HeadraceError
from headrace.observability.events import emit
from headrace.observability.quality_events import KeysAwaited
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.codec import polars_schema
from headrace.schemas.contract import Contract
from headrace.schemas.record import RecordField, RecordSchema
from headrace.schemas.sql_text import identifier, table_name
from headrace.stream_processors.checks.reference import KEYS, KnownKeys, Reference
from headrace.transport.warehouse import Warehouse

MOST_KEYS = 1_000_000
_FRESH_SECS, _RETRY_SECS, _LONGEST_RETRY_SECS = 30.0, 2.0, 10.0

_Asked = tuple[str, tuple[str, ...], tuple[RecordField, ...]]


class ReferenceKeys:
    """Reads keys on a thread of its own, which is started by the first contract that needs some.

    `connect` gives a warehouse to read from; it is called on that thread.
    """

    def __init__(self, connect: Callable[[], Warehouse]) -> None:
        self._connect = connect
        self._known: dict[_Asked, KnownKeys] = {}
        self._wanted: set[_Asked] = set()
        self._news = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def prepared(self, contract: Contract) -> tuple[CheckRule, ...]:
        """Return the contract's checks, those of kind `reference` with the keys known by now. Never blocks."""
        if not any(rule.check == Reference.name for rule in contract.checks):
            return contract.checks
        return tuple(self._with_keys(rule) if rule.check == Reference.name else rule for rule in contract.checks)

    def close(self) -> None:
        """Stop reading; waits for the query under way."""
        self._stopped = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def _with_keys(self, rule: CheckRule) -> CheckRule:
        asked = _asked(rule)
        keys = self._known.get(asked)
        if keys is not None:
            return dataclasses.replace(rule, prepared={**rule.prepared, KEYS: keys})
        if asked not in self._wanted:
            self._wanted.add(asked)
            self._news.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._read_on, name="reference keys", daemon=True)
                self._thread.start()
        return rule

    def _read_on(self) -> None:
        with self._connect() as warehouse:
            pause_secs = _RETRY_SECS
            while not self._stopped:
                self._news.clear()
                complete = all([self._read(warehouse, asked) for asked in sorted(self._wanted, key=repr)])
                # A dataset that never comes is asked for ever more seldom.
                asked_for = self._news.wait(_FRESH_SECS if complete else pause_secs)
                pause_secs = _RETRY_SECS if complete or asked_for else min(2 * pause_secs, _LONGEST_RETRY_SECS)

    def _read(self, warehouse: Warehouse, asked: _Asked) -> bool:
        """Read one set of keys; return False if it has to be tried again soon. What was known before stays."""
        dataset, columns, fields = asked
        names = ", ".join(identifier(name) for name in columns)
        query = f"SELECT DISTINCT {names} FROM {table_name(dataset)} LIMIT {MOST_KEYS + 1:d}"  # noqa: S608
        try:
            rows = warehouse.rows(query)
        except HeadraceError as error:
            emit(KeysAwaited(dataset=dataset, cause=str(error)))
            return False
        if not rows or len(rows) > MOST_KEYS:
            many = f"more than {MOST_KEYS:,} keys" if rows else "the table has no rows yet"
            emit(KeysAwaited(dataset=dataset, cause=many))
            return bool(rows)
        self._known[asked] = KnownKeys(_typed(rows, columns, fields))
        return True


def _asked(rule: CheckRule) -> _Asked:
    parameters: Mapping[str, Any] = rule.parameters
    columns = tuple(parameters.get("keys") or rule.fields)
    return parameters["dataset"], columns, tuple(RecordField(name, rule.types[name]) for name in rule.fields)


def _typed(rows: list[tuple[Any, ...]], columns: tuple[str, ...], fields: tuple[RecordField, ...]) -> pl.DataFrame:
    """Return keys in the types of the fields that are compared with them; a value that does not fit is no key."""
    wanted = polars_schema(RecordSchema("keys", fields))
    series = []
    for place, (column, field) in enumerate(zip(columns, fields, strict=True)):
        kind = wanted[field.name]
        series.append(pl.Series(column, [row[place] for row in rows]).cast(kind, strict=False))
    return pl.DataFrame(series)
