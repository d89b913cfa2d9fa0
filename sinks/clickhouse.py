"""The sink into ClickHouse: tables that follow the schemas, and inserts that a repeat does not double."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import SchemaRefused, WarehouseRefused
from headrace.observability.events import emit
from headrace.observability.sink_events import TableWidened
from headrace.schemas.record import RecordSchema
from headrace.schemas.sql_text import DATABASE, table_name
from headrace.sinks.base import Block, Target
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import DEDUPLICATION_WINDOW, add_columns, column_type, create_table
from headrace.transport.partition_reader import Place
from headrace.transport.warehouse import Warehouse

_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_REPLICATED_WINDOW = re.compile(r"\breplicated_deduplication_window = (\d+)")
_LOW_CARDINALITY = re.compile(r"LowCardinality\((.+)\)")


@dataclass
class _Table:
    """What is known of a table: its columns' types are without LowCardinality."""

    engine: str
    definition: str
    columns: dict[str, str]


class ClickHouseSink:
    """Implements headrace.sinks.base.Sink over one connection. Not for use from several threads."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._tables: dict[str, _Table] = {}

    def prepare(self) -> None:
        """Apply the numbered DDL files that this warehouse has not seen, and see which tables there are."""
        apply_ddl(self._warehouse)
        self._look()

    def open(self, target: Target) -> bool:
        """Return True if the table exists; raises WarehouseRefused if its deduplication window is too small.

        With ClickHouse's default window of 0 an insert's token is ignored, so a repeat would double the rows.
        """
        if target.table not in self._tables:
            self._look(target.table)
        found = self._tables.get(target.table)
        if found is not None:
            _check_window(target.table, found)
        return found is not None

    def forget(self, target: Target) -> None:
        """Look at the table anew when it is needed next: a person may have mended it."""
        self._tables.pop(target.table, None)

    def widen(self, target: Target, schema: RecordSchema, low_cardinality: Callable[[], frozenset[str]]) -> None:
        """Make the table, or add the columns that are missing; raises SchemaRefused if a column has another type."""
        if target.table not in self._tables and not self.open(target):
            self._warehouse.execute(create_table(schema, low_cardinality()))
            emit(TableWidened(table=target.table, columns=", ".join(field.name for field in schema.data_fields)))
            self._look(target.table)
        known = self._tables[target.table].columns
        missing = [field for field in schema.data_fields if field.name not in known]
        if missing:
            self._warehouse.execute(add_columns(schema.dataset, missing, low_cardinality()))
            emit(TableWidened(table=target.table, columns=", ".join(field.name for field in missing)))
            self._look(target.table)
            known = self._tables[target.table].columns
        for field in schema.data_fields:
            if known.get(field.name) != column_type(field):
                raise SchemaRefused(
                    f'table "{target.table}": column "{field.name}" is {known.get(field.name)}, '
                    f"the schema says {column_type(field)}",
                    hint="a column never changes its type: publish the data as another dataset",
                )

    def count(self, target: Target, place: Place, first: int = 0, last: int = 2**63 - 1) -> int:
        """Return how many rows of a range of offsets are stored."""
        if target.table not in self._tables and not self.open(target):
            return 0
        found = self._warehouse.rows(
            f"SELECT count() FROM {table_name(target.table)} WHERE `_topic` = {{topic:String}} "  # noqa: S608
            "AND `_partition` = {partition:Int32} AND `_offset` BETWEEN {first:Int64} AND {last:Int64}",
            {"topic": place.topic, "partition": place.partition, "first": first, "last": last},
        )
        return int(found[0][0])

    def insert(self, block: Block) -> None:
        """Insert a block as one part under its token."""
        self._warehouse.insert(
            table_name(block.target.table),
            block.columns,
            block.data,
            data_format=block.data_format,
            token=block.token,
        )

    def close(self) -> None:
        """Drop the connection."""
        self._warehouse.close()

    def _look(self, table: str = "") -> None:
        """Learn what a table is, or all of them."""
        asked = {"database": DATABASE, "table": table}
        which = "database = {database:String} AND {table:String} IN ('', `table`)"
        columns: dict[str, dict[str, str]] = {}
        for owner, name, kind in self._warehouse.rows(
            f"SELECT `table`, name, type FROM system.columns WHERE {which}",  # noqa: S608
            asked,
        ):
            columns.setdefault(owner, {})[name] = _plain(kind)
        for name, engine, definition in self._warehouse.rows(
            f"SELECT name AS `table`, engine, engine_full FROM system.tables WHERE {which}",  # noqa: S608
            asked,
        ):
            self._tables[name] = _Table(engine, definition, columns.get(name, {}))


def _plain(kind: str) -> str:
    found = _LOW_CARDINALITY.fullmatch(kind)
    return found[1] if found else kind


def _check_window(name: str, table: _Table) -> None:
    replicated = table.engine.startswith(("Replicated", "Shared"))
    found = (_REPLICATED_WINDOW if replicated else _WINDOW).search(table.definition)
    window = int(found[1]) if found else (DEDUPLICATION_WINDOW if replicated else 0)
    if window < DEDUPLICATION_WINDOW:
        setting = f"{'' if replicated else 'non_'}replicated_deduplication_window"
        raise WarehouseRefused(
            f'table "{name}": {setting} is {window}, so a repeated insert would double rows',
            hint=f"ALTER TABLE {DATABASE}.{name} MODIFY SETTING {setting} = {DEDUPLICATION_WINDOW}",
        )
