"""The text of tables: types, identifiers, comments, and the numbered DDL files."""

import re

import pytest

from headrace.core.identity import RESERVED_DATASETS, RESERVED_TABLES
from headrace.errors import WarehouseRefused
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.sql_text import identifier, literal
from headrace.schemas.topics import (
    ADVICE,
    ALERTS,
    LEDGER,
    METRICS,
    MODELS,
    PREDICTIONS,
    PROFILES,
    SYSTEM_TOPICS,
    WINDOWS,
)
from headrace.sinks.base import target_of
from headrace.sinks.ddl import DdlFile, ddl_files
from headrace.sinks.tables import add_columns, column_type, create_table


def field(kind: FieldType, *, precision: int = 0, scale: int = 0) -> RecordField:
    return RecordField("x", kind, precision=precision, scale=scale)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (field(FieldType.INT), "Nullable(Int32)"),
        (field(FieldType.LONG), "Nullable(Int64)"),
        (field(FieldType.FLOAT), "Nullable(Float32)"),
        (field(FieldType.DOUBLE), "Nullable(Float64)"),
        (field(FieldType.BOOLEAN), "Nullable(Bool)"),
        (field(FieldType.STRING), "Nullable(String)"),
        (field(FieldType.DATE), "Nullable(Date32)"),
        (field(FieldType.TIMESTAMP), "Nullable(DateTime64(6, 'UTC'))"),
        (field(FieldType.DECIMAL, precision=38, scale=9), "Nullable(Decimal(38, 9))"),
        (field(FieldType.UUID), "Nullable(String)"),
        (field(FieldType.BYTES), "Nullable(String)"),
    ],
)
def test_column_type_follows_the_field(given: RecordField, wanted: str) -> None:
    assert column_type(given) == wanted


def test_every_field_type_has_a_column_type() -> None:
    assert all(column_type(field(kind, precision=9, scale=2)) for kind in FieldType)


def test_low_cardinality_is_for_text_only() -> None:
    assert column_type(field(FieldType.STRING), low_cardinality=True) == "LowCardinality(Nullable(String))"
    assert column_type(field(FieldType.LONG), low_cardinality=True) == "Nullable(Int64)"


def test_table_is_one_part_a_block_and_remembers_tokens() -> None:
    text = create_table(RecordSchema("orders", (field(FieldType.LONG),)))
    assert "PARTITION BY" not in text
    assert text.endswith("SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 20")
    assert "ORDER BY (`_file`, `_row`)" in text


def test_table_keeps_original_names_as_comments_and_escapes_them() -> None:
    schema = RecordSchema("orders", (RecordField("a_b", FieldType.STRING, "a 'b' \\ `c`"),))
    assert "`a_b` Nullable(String) COMMENT 'a \\'b\\' \\\\ `c`'" in create_table(schema)


@pytest.mark.parametrize("name", ["a`b", "a b", "", "1a", "a;b", "é", "a\n"])
def test_identifier_refuses_what_is_no_plain_name(name: str) -> None:
    with pytest.raises(WarehouseRefused):
        identifier(name)


def test_table_of_a_reserved_name_is_refused() -> None:
    with pytest.raises(WarehouseRefused, match="reserved"):
        create_table(RecordSchema("quarantine", ()))


def test_added_columns_come_with_type_and_comment() -> None:
    text = add_columns("orders", [RecordField("tip", FieldType.DOUBLE, "Tip ($)")], frozenset())
    assert text == "ALTER TABLE headrace.`orders` ADD COLUMN IF NOT EXISTS `tip` Nullable(Float64) COMMENT 'Tip ($)'"


def test_literal_cannot_be_left() -> None:
    assert literal("a'); DROP TABLE x; --\\") == "'a\\'); DROP TABLE x; --\\\\'"


def test_ddl_files_are_numbered_and_their_tables_reserved() -> None:
    files = ddl_files()
    assert len(files) >= 5
    made = re.findall(r"CREATE (?:TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS headrace\.(\w+)", _all(files))
    assert {"quarantine", "files", "receipts", "alerts", "profiles", "otel_traces"} <= set(made)
    assert set(made) <= RESERVED_TABLES | RESERVED_DATASETS


def test_ddl_statements_can_run_again() -> None:
    statements = [statement for file in ddl_files() for statement in file.statements]
    assert len(statements) >= 9
    assert all("IF NOT EXISTS" in statement or "OR REPLACE" in statement for statement in statements)


def test_ddl_tables_that_the_sink_fills_remember_tokens() -> None:
    for topic in (ADVICE, ALERTS, LEDGER, METRICS, MODELS, PREDICTIONS, PROFILES, WINDOWS, "orders.quarantine"):
        target = target_of(topic)
        assert target is not None
        [statement] = [
            text for text in _statements() if f"CREATE TABLE IF NOT EXISTS headrace.{target.table}\n" in text
        ]
        assert "non_replicated_deduplication_window = 10000" in statement
        assert "PARTITION BY" not in statement


def test_ddl_file_without_statements_has_none() -> None:
    assert DdlFile(1, "0001_x.sql", "-- nothing;\n\n").statements == ()


def test_raw_records_and_intents_are_not_stored() -> None:
    stored = {spec.name for spec in SYSTEM_TOPICS if target_of(spec.name)}
    assert stored == {LEDGER, PROFILES, ALERTS, WINDOWS, ADVICE, PREDICTIONS, METRICS, MODELS}
    assert target_of("orders.raw") is None
    assert target_of("elsewhere") is None


def _all(files: tuple[DdlFile, ...]) -> str:
    return "\n".join(file.text for file in files)


def _statements() -> list[str]:
    return [statement for file in ddl_files() for statement in file.statements]
