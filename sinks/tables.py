"""The table of a dataset, as text: column types from the record schema, identifiers checked and quoted."""

from collections.abc import Iterable

from headrace.core.identity import dataset_name_problem
from headrace.errors import WarehouseRefused
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.sql_text import identifier, literal, table_name

DEDUPLICATION_WINDOW = 10_000
# Parts of like size that make a merge; ClickHouse's 5 rewrites rows while they flow in (docs/decisions/0011).
MERGED_PARTS = 20
_TYPES = {
    FieldType.INT: "Int32",
    FieldType.LONG: "Int64",
    FieldType.FLOAT: "Float32",
    FieldType.DOUBLE: "Float64",
    FieldType.BOOLEAN: "Bool",
    FieldType.STRING: "String",
    FieldType.DATE: "Date32",
    FieldType.TIMESTAMP: "DateTime64(6, 'UTC')",
    FieldType.BYTES: "String",
    FieldType.ENUM: "String",
    FieldType.FIXED: "String",
    FieldType.UUID: "String",
    FieldType.TIME: "String",
}
# name -> (type, comment); _trace is an alias and is not inserted.
SYSTEM_COLUMNS = {
    "_file": ("String", "The file: first 16 digits of its SHA-256"),
    "_row": ("Int64", "Ordinal of the record in its file, from 0"),
    "_topic": ("LowCardinality(String)", "Topic the record came from"),
    "_partition": ("Int32", "Partition of the topic"),
    "_offset": ("Int64", "Offset in the partition"),
    "_ingested_at": ("DateTime64(3, 'UTC')", "When the record was written to the topic"),
}
INSERTED_SYSTEM_COLUMNS = tuple(SYSTEM_COLUMNS)


def column_type(field: RecordField, *, low_cardinality: bool = False) -> str:
    """Return the ClickHouse type of a field: always nullable, since every field of a record is.

    >>> column_type(RecordField("price", FieldType.DECIMAL, precision=12, scale=2))
    'Nullable(Decimal(12, 2))'
    """
    base = f"Decimal({field.precision}, {field.scale})" if field.type is FieldType.DECIMAL else _TYPES[field.type]
    nullable = f"Nullable({base})"
    return f"LowCardinality({nullable})" if low_cardinality and base == "String" else nullable


def create_table(schema: RecordSchema, low_cardinality: frozenset[str] = frozenset()) -> str:
    """Return the statement that makes a dataset's table.

    Rows are ordered by file and ordinal, which is what receipts, traces and replays ask for. There is no PARTITION BY:
    a block that spans two partitions would be two parts, and no longer all or nothing.
    """
    if problem := dataset_name_problem(schema.dataset):
        raise WarehouseRefused(problem, hint="choose another name for the dataset")
    columns = [_column(field, low_cardinality) for field in schema.data_fields]
    columns += [f"{identifier(name)} {kind} COMMENT {literal(text)}" for name, (kind, text) in SYSTEM_COLUMNS.items()]
    columns += [_trace_alias(schema.dataset), "INDEX offset_range `_offset` TYPE minmax GRANULARITY 1"]
    body = ",\n    ".join(columns)
    return (
        f"CREATE TABLE IF NOT EXISTS {table_name(schema.dataset)}\n(\n    {body}\n)\n"
        f"ENGINE = MergeTree\nORDER BY (`_file`, `_row`)\n"
        f"SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}, merge_selector_base = {MERGED_PARTS}"
    )


def add_columns(dataset: str, fields: Iterable[RecordField], low_cardinality: frozenset[str] = frozenset()) -> str:
    """Return the statement that adds a new schema's columns before the system columns."""
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {_column(field, low_cardinality)}" for field in fields)
    return f"ALTER TABLE {table_name(dataset)} {added}"


def _column(field: RecordField, low_cardinality: frozenset[str]) -> str:
    kind = column_type(field, low_cardinality=field.name in low_cardinality or field.type is FieldType.ENUM)
    comment = f" COMMENT {literal(field.doc)}" if field.doc else ""
    return f"{identifier(field.name)} {kind}{comment}"


def _trace_alias(dataset: str) -> str:
    """Return the column that computes what headrace.core.identity.trace_id does."""
    digest = f"SHA256(concat({literal(dataset)}, char(0), `_file`))"
    text = literal("Trace of the file: headrace trace")
    return f"`_trace` String ALIAS lower(substring(hex({digest}), 1, 32)) COMMENT {text}"
