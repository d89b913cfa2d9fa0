"""The columns of a schema in one file: where each field stands, how its texts are taken, and what does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from headrace.producers.readers.base import Layout
from headrace.producers.readers.values import DIRECT
from headrace.schemas.codec import polars_schema
from headrace.schemas.record import FieldType, RecordField, RecordSchema


@dataclass(frozen=True)
class Column:
    """A schema field, where it stands in the file (None: nowhere), and how its texts are to be taken."""

    field: RecordField
    position: int | None
    dtype: pl.DataType
    nulls: tuple[str, ...] = ()
    zone: str = ""

    @property
    def key(self) -> str:
        """Return the name of the file's column while it is parsed."""
        return f"c{self.position}"

    @property
    def direct(self) -> bool:
        """Return True if polars' CSV parser can read it as it goes, missing values and all."""
        return self.field.type in DIRECT and len(self.nulls) <= 1


@dataclass(frozen=True)
class Columns:
    """All fields of a schema as columns of one file."""

    fields: tuple[Column, ...]

    @classmethod
    def of(cls, layout: Layout, schema: RecordSchema, positions: Mapping[str, int]) -> "Columns":
        """Return where each data field of the schema is, and its type."""
        types = polars_schema(schema)
        options = layout.options
        return cls(
            tuple(
                Column(
                    field,
                    positions.get(field.name),
                    types[field.name],
                    options.nulls_of(field.name),
                    options.zones.get(field.name, ""),
                )
                for field in schema.data_fields
            )
        )

    @property
    def present(self) -> tuple[Column, ...]:
        """Return those that the file has."""
        return tuple(column for column in self.fields if column.position is not None)


def frame_of(columns: Columns, values: Mapping[str, pl.Series], rows: int) -> pl.DataFrame:
    """Return the schema's data fields in order; a field without values is null in every row."""
    return pl.DataFrame(
        [
            values[column.field.name].alias(column.field.name)
            if column.field.name in values
            else pl.repeat(None, rows, dtype=column.dtype, eager=True).alias(column.field.name)
            for column in columns.fields
        ]
    )


def without(texts: pl.Series, nulls: tuple[str, ...]) -> pl.Series:
    """Return texts with those that mean "missing" as null."""
    if not nulls:
        return texts
    return texts.set(texts.is_in(list(nulls)).fill_null(value=False), None)


def misfit_rows(texts: pl.Series, values: pl.Series, field: RecordField) -> list[int]:
    """Return the rows with a text that is neither blank nor a value of the field."""
    if field.type is FieldType.STRING:
        return []
    doubtful = values.is_null() & texts.is_not_null()
    if not doubtful.any():
        return []
    return (doubtful & (texts.str.strip_chars() != "")).arg_true().to_list()
