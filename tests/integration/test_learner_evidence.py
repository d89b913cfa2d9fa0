"""What the stored rows say of a learner whose labels came later, in another dataset: the rows that it lost most on."""

import io
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.sql_text import table_name
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import create_table
from headrace.stream_processors.learner_evidence import LearnerEvidence
from headrace.testing.warehouse import OwnWarehouse
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
ROWS, LATER = 2_000, 1_000
FILE, ANSWERS = "a" * 16, "b" * 16
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
version: 1.0.0
status: active
schema:
  - name: {dataset}
    quality:
      - id: worse
        type: custom
        engine: headrace
        implementation: '{{"check": "model_drift", "learner": "parcel_days"}}'
    properties:
      - name: {key}
        logicalType: string
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: country
        logicalType: string
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - {{name: days, logicalType: number}}
"""
LEARNER = """
name: parcel_days
version: "1.0.0"
dataset: parcels
task: regression
target: days
features: [country]
lateLabels: {dataset: deliveries, keys: {parcel: parcel_id}, wait: P14D}
models: [{model: linear_regression}]
"""


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    """Parcels whose days were predicted as 2; those to Peru in the second thousand took 9, all others 3."""
    with OwnWarehouse() as running, Warehouse(running.settings) as own:
        apply_ddl(own)
        numbers = range(ROWS)
        parcels: dict[str, list[Any]] = {
            "parcel": [f"p{n}" for n in numbers],
            "country": ["pe" if to_peru(n) else "ch" for n in numbers],
            "days": [None] * ROWS,
        }
        store(own, law("parcels", "parcel"), FILE, parcels)
        predicted = ", ".join(f"('parcel_days', 'parcels', 2, '{FILE}', {n}, {n})" for n in numbers)
        columns = "learner, dataset, value, _file, _row, _offset"
        own.execute(f"INSERT INTO headrace.predictions ({columns}) VALUES {predicted}")
        yield own


def to_peru(number: int) -> bool:
    """One in ten at first, then one in four."""
    return number % (4 if number >= LATER else 10) == 0


def law(dataset: str, key: str) -> Contract:
    return parse_contract(CONTRACT.format(dataset=dataset, key=key))


def store(warehouse: Warehouse, contract: Contract, file: str, columns: dict[str, list[Any]]) -> None:
    rows = len(columns["days"])
    frame = pl.DataFrame(columns, schema_overrides={"days": pl.Float64}).with_columns(
        _file=pl.lit(file),
        _row=pl.int_range(rows),
        _topic=pl.lit(f"{contract.dataset}.valid"),
        _partition=pl.lit(0, pl.Int32),
        _offset=pl.int_range(rows),
        _ingested_at=pl.lit(0, pl.Int64).cast(pl.Datetime("ms")),
    )
    block = io.BytesIO()
    frame.write_parquet(block)
    warehouse.execute(create_table(contract.record_schema))
    warehouse.insert(table_name(contract.dataset), frame.columns, block.getvalue(), data_format="Parquet", token=file)


def test_rows_that_lost_most_are_found_by_labels_of_another_dataset(warehouse: Warehouse) -> None:
    parcels, deliveries = law("parcels", "parcel"), law("deliveries", "parcel_id")
    laws = {"parcels": parcels, "deliveries": deliveries}
    spec: LearnerSpec = parse_learner(LEARNER, laws.get)
    (rule,) = (one for one in parcels.checks if one.id == "worse")
    evidence = LearnerEvidence(warehouse.rows, lambda: [spec])
    inside, earlier = f"`_row` >= {LATER}", f"`_row` < {LATER}"

    def finding(rule: CheckRule = rule) -> tuple[str, str]:
        found = evidence.finding(parcels, rule, inside, earlier, 5)
        return found.condition, found.samples

    assert finding() == ("", ""), "no delivery has come: there is no table yet"
    assert evidence.concerned(parcels, ["country"]) == []

    slow = [n for n in range(LATER, ROWS) if to_peru(n)]
    known = [n for n in range(ROWS) if n % 7]  # of some parcels nobody knows yet
    columns: dict[str, list[Any]] = {
        # What came first for a parcel counts: a second word about one is no label of it any more.
        "parcel_id": [f"p{n}" for n in known] + [f"p{known[0]}"],
        "country": ["ch"] * (len(known) + 1),
        "days": [9.0 if n in slow else 3.0 for n in known] + [90.0],
    }
    store(warehouse, deliveries, ANSWERS, columns)
    condition, samples = finding()
    lost = [n for n in slow if n in known]
    found = warehouse.rows(f"SELECT `_row` FROM headrace.parcels WHERE {condition} ORDER BY `_row`")
    assert [int(row) for (row,) in found] == lost
    assert [(str(file), int(row)) for file, row in warehouse.rows(samples)] == [(FILE, n) for n in lost[:5]]
    assert evidence.concerned(parcels, ["country"]) == [spec]
    (effect,) = evidence.effects(parcels, ["country"], "country = 'pe'", inside, earlier)
    assert effect.learner == "parcel_days"
    assert effect.more == pytest.approx(6.0), "9 days instead of 3, where 2 were said"
    assert effect.moved == pytest.approx(0.15, abs=0.01)
    assert effect.share == pytest.approx(0.9, abs=0.06)
