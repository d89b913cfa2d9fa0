"""A dataset on a running stack whose valid records a test writes itself, for tests of what stores them."""

import os
from types import TracebackType
from typing import Self
from uuid import uuid4

import polars as pl

from headrace.core.identity import trace_id
from headrace.observability.propagation import traceparent
from headrace.schemas.codec import encode, polars_schema
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.schemas.topics import dataset_topics
from headrace.settings import Settings
from headrace.transport.kafka import Headers, Topics, TransactionalWriter
from headrace.transport.warehouse import Warehouse

FILE = "0123456789abcdef"


class Dataset:
    """A dataset of its own, and what was written to its valid topic. Use it in a `with` block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"sink_{uuid4().hex[:10]}"
        self.schema = RecordSchema(self.name, (RecordField("number", FieldType.LONG),))
        self.registry = Registry(settings)
        Topics(settings.kafka_client()).ensure(dataset_topics(self.name))
        self.writer = TransactionalWriter(settings.kafka_client(), f"test-{self.name}")
        self.warehouse = Warehouse(settings)
        self.rows = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop the connections."""
        self.warehouse.close()
        self.registry.close()

    def publish(
        self,
        rows: int,
        *,
        abort: bool = False,
        schema: RecordSchema | None = None,
        partition: int = 0,
        file: str = FILE,
        span: str = "",
    ) -> None:
        """Write rows in one transaction; `span` is the one that their trace context names."""
        chosen = schema or self.schema
        schema_id = self.registry.register(f"{self.name}.valid-value", chosen.text())
        numbers = pl.int_range(self.rows, self.rows + rows, dtype=pl.Int64, eager=True)
        columns = {item.name: numbers for item in chosen.data_fields} | {"_row": numbers}
        frame = pl.DataFrame(columns | {"_file": [file] * rows}).select(item.name for item in chosen.fields)
        messages = encode(frame.cast(dict(polars_schema(chosen))), chosen, schema_id)  # type: ignore[arg-type]
        self.writer.begin()
        headers: Headers | None = None
        if span:
            headers = [("traceparent", traceparent(trace_id(self.name, file), span).encode())]
        self.writer.write(f"{self.name}.valid", messages, partition=partition, headers=headers)
        if abort:
            self.writer.abort()
        else:
            self.writer.commit()
            self.rows += rows

    def counts(self) -> tuple[int, int]:
        """Return (rows, distinct rows) in the table."""
        query = f"SELECT count(), uniqExact(_file, _row) FROM headrace.`{self.name}`"  # noqa: S608
        [(rows, distinct)] = self.warehouse.rows(query)
        return rows, distinct

    def stored(self) -> bool:
        """Return True once the table has as many rows as were written."""
        exists = self.warehouse.rows(
            "SELECT name FROM system.tables WHERE database = 'headrace' AND name = {name:String}", {"name": self.name}
        )
        return bool(exists) and self.counts()[0] >= self.rows

    def rows_there(self) -> int:
        """Return how many rows the table has, 0 while there is none."""
        exists = self.warehouse.rows(
            "SELECT total_rows FROM system.tables WHERE database = 'headrace' AND name = {name:String}",
            {"name": self.name},
        )
        return int(exists[0][0]) if exists else 0


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that make a process use the stack of these settings."""
    return os.environ | {
        f"HEADRACE_{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if isinstance(value, (str, int, float, os.PathLike)) and value != ""
    }
