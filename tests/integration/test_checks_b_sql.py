"""The SQL of checks of values gives the same figures over stored rows as the expressions give over the same rows."""

import io
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.sql_text import table_name
from headrace.sinks.tables import SYSTEM_COLUMNS, create_table
from headrace.stream_processors.checks.base import WINDOW, Check
from headrace.stream_processors.checks.reference import KEYS, KnownKeys
from headrace.testing.check_views import views_of
from headrace.testing.flight_checks import TYPES, flight_rules, flights
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

FLIGHTS, VALUES, OTHER = "checks_b_flights", "checks_b_values", "checks_b_other"
NASTY = {"note": FieldType.STRING, "small": FieldType.FLOAT, "reading": FieldType.DOUBLE, "day": FieldType.DATE}
NOTES = [
    *("", "ä", "日本", "it's", "a\\b", "a\nb", "x`y", "jo@example.org", "DE", "EUR", "2024-02-29", "2023-02-29", None),
    *("4111111111111111", "4111111111111112", "978-0-306-40615-7", "4006381333931", "90.0", "-181", "1_2", "straße"),
    "123e4567-e89b-12d3-a456-426614174000",
]
READINGS = [0.0, -0.5, 0.1, 0.15, 2.5, -2.5, float("nan"), float("inf"), None]
FORMATS = ("email", "uuid", "date", "country", "currency", "latitude", "longitude", "luhn", "isbn13", "ean")


def other() -> pl.DataFrame:
    return values().filter(pl.col("_row") % 3 != 0)


def values() -> pl.DataFrame:
    """Return every note beside every reading."""
    rows = [(note, reading) for note in NOTES for reading in READINGS]
    days = pl.Series(["1999-12-31", "2024-02-29", "2024-03-01", None] * len(rows)).head(len(rows)).str.to_date()
    frame = pl.DataFrame(rows, schema={"note": pl.String, "reading": pl.Float64}, orient="row")
    return frame.with_columns(
        pl.col("reading").cast(pl.Float32).alias("small"),
        days.alias("day"),
        pl.lit("f").alias("_file"),
        pl.int_range(pl.len()).alias("_row"),
        pl.lit(0, pl.Int64).alias(WINDOW),
    )


def nasty(check: str, *fields: str, **given: Any) -> CheckRule:
    return CheckRule(check, check, fields, given, None, check_named(check).unit, types=NASTY)


def known(rule: CheckRule) -> CheckRule:
    frame = other()
    return CheckRule(
        rule.id, rule.check, rule.fields, rule.parameters, None, rule.unit, types=NASTY,
        prepared={KEYS: KnownKeys(frame.select(rule.fields))},
    )  # fmt: skip


RULES = [
    *((FLIGHTS, rule) for rule, _ in flight_rules() if rule.check != "reference"),
    (VALUES, nasty("in_set", "note", values=["it's", "a\\b", "x`y", ""])),
    (VALUES, nasty("in_set", "small", values=[0.1, 2.5])),
    (VALUES, nasty("in_set", "reading", values=[0.1, 2])),
    (VALUES, nasty("in_set", "day", values=["2024-02-29"])),
    *((VALUES, nasty("pattern", "note", pattern=text)) for text in ("^.{1,3}$", r"\bb", r"^\w+$", "[äß]", "a.b", "'")),
    (VALUES, nasty("range", "small", minimum=0.1, maximum=2.5, below=True)),
    (VALUES, nasty("range", "reading", minimum=-0.5, above=True)),
    (VALUES, nasty("range", "day", minimum="2000-01-01", maximum="2024-02-29")),
    (VALUES, nasty("length", "note", minimum=1, maximum=2)),
    *((VALUES, nasty("format", "note", format=name)) for name in FORMATS),
    (VALUES, nasty("format", "reading", format="latitude")),
    (VALUES, nasty("row_rule", expression="small > 0.1 or length(note) < 3 and reading / small >= 1")),
    (VALUES, nasty("control_total", "reading", decimals=1)),
    (VALUES, nasty("dominance_heaping", "reading", of="last_digit", decimals=1)),
    (VALUES, nasty("unique_ratio", "reading")),
    (VALUES, nasty("metric_anomaly", "note", metric="null_rate")),
    (VALUES, known(nasty("reference", "note", dataset=OTHER))),
    (VALUES, known(nasty("reference", "note", "day", dataset=OTHER))),
]


BATCHES = {
    FLIGHTS: lambda: flights().filter(pl.col("month") == 2).with_columns(pl.lit(0, pl.Int64).alias(WINDOW)),
    VALUES: values,
    OTHER: other,
}


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Iterator[Warehouse]:
    with Warehouse(stack.settings) as client:
        for table, made in BATCHES.items():
            types = TYPES if table == FLIGHTS else NASTY
            fields = tuple(RecordField(name, kind) for name, kind in types.items())
            client.execute(create_table(RecordSchema(table, fields)))
            stored = made().select(
                *types,
                "_file",
                "_row",
                pl.lit(f"{table}.valid").alias("_topic"),
                pl.lit(0, pl.Int32).alias("_partition"),
                pl.col("_row").alias("_offset"),
                pl.lit(0).cast(pl.Datetime("ms")).alias("_ingested_at"),
            )
            data = io.BytesIO()
            stored.write_parquet(data, compression="uncompressed")
            columns = [*types, *SYSTEM_COLUMNS]
            client.insert(table_name(table), columns, data.getvalue(), data_format="Parquet", token=table)
        yield client
        for table in BATCHES:
            client.execute(f"DROP TABLE {table_name(table)}")


@pytest.fixture(scope="module")
def batches() -> dict[str, pl.DataFrame]:
    return {table: made() for table, made in BATCHES.items()}


def test_stored_rows_give_the_figures_of_the_stream(warehouse: Warehouse, batches: dict[str, pl.DataFrame]) -> None:
    compared, apart = set(), {}
    for table, rule in RULES:
        check: Check = check_named(rule.check)
        if figures := check.sql(rule):
            streamed = views_of(check, rule, batches[table])[0]
            (stored,) = warehouse.rows(f"SELECT {', '.join(figures.values())} FROM {table_name(table)}")
            found = {name: count for name, count in zip(figures, stored, strict=True) if name in streamed.counts}
            if found != streamed.counts:
                apart[rule.id, str(rule.parameters)] = (found, streamed.counts)
            compared.add(rule.check)
    assert apart == {}
    assert len(compared) == 12
