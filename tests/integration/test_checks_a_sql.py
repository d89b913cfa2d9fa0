"""A check's SQL over the stored rows gives the figures that the stream's expressions give over the same rows."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.sql_text import table_name
from headrace.sinks.tables import SYSTEM_COLUMNS, create_table
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, EVENT, Check, View
from headrace.testing.check_views import views_of
from headrace.testing.real_rows import as_batch, real_records
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

SIZE = 7 * 86_400
FLIGHTS, NOTES = "checks_a_flights", "checks_a_notes"
TYPES: dict[str, dict[str, FieldType]] = {
    FLIGHTS: {field.name: field.type for field in real_records("flights")[0].record_fields},
    NOTES: {
        "note": FieldType.STRING,
        "number": FieldType.LONG,
        "reading": FieldType.DOUBLE,
        "small": FieldType.FLOAT,
        "day": FieldType.DATE,
        "at": FieldType.TIMESTAMP,
        "ready": FieldType.BOOLEAN,
    },
}
TEXTS = [
    "a",
    "",
    " \t",
    "\u00a0\u2003",
    "N/A",
    "it's `a` \\",
    "1,5",
    "1.5",
    "-7",
    "2e3",
    "ä",
    "Ã¤",
    "â€œ",
    "\x07",
    "\ufffd",
    None,
]


def rule(
    table: str, check: str, *fields: str, unit: Unit | None = None, bounds: Bounds | None = None, **given: Any
) -> CheckRule:
    return CheckRule(check, check, fields, given, bounds, unit or check_named(check).unit, types=TYPES[table])


DEMANDS: list[tuple[str, tuple[tuple[str, ...], dict[str, Any]]]] = [
    (FLIGHTS, (("null_rate", "dep_time"), {})),
    (FLIGHTS, (("missing_rate", "tailnum"), {"sentinels": ["NA", "N14228"]})),
    (FLIGHTS, (("missing_rate", "dep_delay"), {"sentinels": [0, -1]})),
    (FLIGHTS, (("complete_rows", "dep_time", "arr_time", "air_time"), {})),
    (FLIGHTS, (("conditional_required", "arr_time"), {"when": "dep_time is not null and carrier in ('UA', 'AA')"})),
    (FLIGHTS, (("encoding", "tailnum", "dest"), {})),
    (FLIGHTS, (("lossy_cast", "tailnum"), {"to": "long"})),
    (FLIGHTS, (("row_count",), {"bounds": Bounds(lower=1)})),
    (FLIGHTS, (("segment_coverage", "carrier"), {"segments": ["UA", "HA", "OO", "XX"]})),
    (FLIGHTS, (("segment_coverage", "month"), {"segments": [1, 2]})),
    (FLIGHTS, (("latency",), {"bounds": Bounds(upper=1)})),
    (FLIGHTS, (("late_rate",), {"after_secs": 3_600})),
    (FLIGHTS, (("late_rate", "time_hour"), {"after_secs": 7_199.5})),
    (FLIGHTS, (("future_time",), {"tolerance_secs": 0})),
    (FLIGHTS, (("sequence_gap", "time_hour"), {"step_secs": 3_600})),
    (FLIGHTS, (("sequence_gap", "flight"), {})),
    (FLIGHTS, (("duplicate_key", "month", "day", "tailnum"), {})),
    (NOTES, (("missing_rate", "note"), {"sentinels": ["N/A", "it's `a` \\"]})),
    (NOTES, (("missing_rate", "note"), {"blanks": False})),
    (NOTES, (("missing_rate", "reading"), {"sentinels": [-9.5, 3, ""]})),
    (NOTES, (("missing_rate", "day"), {"sentinels": ["1900-01-01"]})),
    (NOTES, (("encoding", "note"), {})),
    (NOTES, (("encoding", "note"), {"decoded_twice": False})),
    *((NOTES, (("lossy_cast", "note"), {"to": to})) for to in ("int", "long", "float", "double")),
    *((NOTES, (("lossy_cast", "reading"), {"to": to})) for to in ("int", "long", "float")),
    (NOTES, (("lossy_cast", "number"), {"to": "double"})),
    (NOTES, (("segment_coverage", "ready"), {"segments": [True, False]})),
    (NOTES, (("segment_coverage", "day"), {"segments": ["1900-01-01", "2026-03-02"]})),
    (NOTES, (("future_time", "day"), {})),
    (NOTES, (("sequence_gap", "number"), {})),
    (NOTES, (("duplicate_key", "note", "ready"), {})),
    *(
        (NOTES, (("conditional_required", "day"), {"when": when}))
        for when in (
            "number / (number - 3) > 1 or reading < 0.5",
            "not (ready or reading >= 3) and note is not null",
            "note in ('a', 'N/A') or note <> lower(note)",
            "number in (1, 3) or abs(number) = 4",
            "length(note) > 1 and at >= timestamp '2026-03-02T00:00:20Z'",
            "day < date '2000-01-01' or -number + 2 * reading <= coalesce(reading, number, 0)",
        )
    ),
]
RULES = [(table, rule(table, *given[0], **given[1])) for table, given in DEMANDS]


def notes() -> pl.DataFrame:
    """Return rows with every kind of nasty value, nulls and NaN among them."""
    rows = range(96)
    readings = [0.0, 0.1, -9.5, 3.0, float("nan"), float("inf"), 2.0**40, None]
    return pl.DataFrame(
        {
            "note": [TEXTS[row % len(TEXTS)] for row in rows],
            "number": pl.Series(
                [None if row % 11 == 0 else row % 7 + 2**53 * (row % 5 == 0) for row in rows], dtype=pl.Int64
            ),
            "reading": [readings[row % len(readings)] for row in rows],
            "small": pl.Series([row / 10 for row in rows], dtype=pl.Float32),
            "day": pl.Series(["1900-01-01", "2026-03-02", "2026-03-03", None] * 24).str.to_date(),
            "at": pl.Series([None if row % 9 == 0 else 1_772_409_600_000_000 + row * 500_000 for row in rows]).cast(
                pl.Datetime("us")
            ),
            "ready": [[True, False, None][row % 3] for row in rows],
            "_file": "notes-file",
            "_row": pl.Series(rows, dtype=pl.Int64),
        }
    )


@pytest.fixture(scope="module")
def batches() -> Mapping[str, pl.DataFrame]:
    flights = real_records("flights")[1].filter(pl.col("month") <= 2)
    return {FLIGHTS: as_batch(flights, "time_hour", SIZE), NOTES: as_batch(notes(), "at", SIZE)}


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack, batches: Mapping[str, pl.DataFrame]) -> Iterator[Warehouse]:
    with Warehouse(stack.settings) as client:
        for table, batch in batches.items():
            fields = tuple(RecordField(name, kind) for name, kind in TYPES[table].items())
            client.execute(create_table(RecordSchema(table, fields)))
            stored = batch.select(
                *TYPES[table],
                "_file",
                "_row",
                pl.lit(f"{table}.valid").alias("_topic"),
                pl.lit(0, pl.Int32).alias("_partition"),
                pl.col("_row").alias("_offset"),
                (pl.col(ARRIVED) // 1_000).fill_null(0).cast(pl.Datetime("ms")).alias("_ingested_at"),
            )
            data = io.BytesIO()
            stored.write_parquet(data, compression="uncompressed")
            columns = [*TYPES[table], *SYSTEM_COLUMNS]
            client.insert(table_name(table), columns, data.getvalue(), data_format="Parquet", token=table)
        yield client
        for table in batches:
            client.execute(f"DROP TABLE {table_name(table)}")


def stored_views(
    warehouse: Warehouse, table: str, figures: Mapping[str, str], known: Mapping[str, Any]
) -> dict[int, View]:
    """Return the views of the windows that the warehouse's rows give."""
    event = "time_hour" if table == FLIGHTS else "at"
    window = f"intDiv(toUnixTimestamp64Micro(toDateTime64({event}, 6, 'UTC')), {SIZE} * 1000000) * {SIZE}"
    chosen = ", ".join(f"{expression} AS `{name} of it`" for name, expression in figures.items())
    query = (
        f"WITH {event} AS `{EVENT}` SELECT {window} AS `start of it`, count(), {chosen} FROM {table_name(table)} "
        f"WHERE isNotNull({event}) GROUP BY `start of it`"
    )
    return {
        start: View(start, start + SIZE, rows, dict(zip(figures, counts, strict=True)), facts=known)
        for start, rows, *counts in warehouse.rows(query)
    }


@pytest.mark.parametrize(
    ("table", "demand"), RULES, ids=lambda value: value.check if isinstance(value, CheckRule) else ""
)
def test_stored_rows_give_the_figures_and_verdicts_of_the_stream(
    warehouse: Warehouse, batches: Mapping[str, pl.DataFrame], table: str, demand: CheckRule
) -> None:
    check: Check = check_named(demand.check)
    known = {facts.NOW: 1.8e9}
    figures = check.sql(demand)
    assert figures
    streamed = views_of(check, demand, batches[table], size=SIZE, facts=known)
    stored = stored_views(warehouse, table, figures, known)
    assert stored.keys() == streamed.keys()
    for start, view in streamed.items():
        assert stored[start].rows == view.rows
        assert {name: stored[start].counts[name] for name in view.counts} == view.counts
        found, wanted = check.verdict(demand, stored[start]), check.verdict(demand, view)
        assert found.outcome is wanted.outcome
        assert abs((found.observed or 0.0) - (wanted.observed or 0.0)) <= wanted.error


def test_every_check_with_sql_is_compared() -> None:
    compared = {demand.check for _, demand in RULES}
    assert len(compared) == 13
