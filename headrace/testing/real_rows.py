"""Real records as the judge sees them: the shipped datasets, read by their contracts."""

import io

import polars as pl

from headrace.producers.readers.base import HEAD_BYTES, ReadOptions
from headrace.producers.readers.registry import reader_for
from headrace.runtime.samples import sample_csv
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.infer import match_columns
from headrace.stream_processors.checks.base import ARRIVED, EVENT, SCHEMA_ID, WINDOW

MICROS = 1_000_000


def real_records(dataset: str) -> tuple[Contract, pl.DataFrame]:
    """Return the contract of a shipped dataset and all its records, with `_file` and `_row`."""
    contract, stream = parse_contract(shipped_contract(dataset) or "", dataset), io.BytesIO(sample_csv(dataset))
    reader = reader_for(f"{dataset}.csv", stream.read(HEAD_BYTES))
    layout = reader.open(stream, ReadOptions(null_values=contract.format.null_values))
    columns = match_columns(layout.columns, contract.record_fields)
    read = [found.frame for found in reader.frames(stream, layout, contract.record_schema, columns)]
    names = [field.name for field in contract.record_fields]
    whole = pl.concat(read).select(names)
    return contract, whole.with_columns(pl.lit(f"{dataset}-file").alias("_file"), pl.int_range(pl.len()).alias("_row"))


def as_batch(records: pl.DataFrame, event: str, size_secs: int) -> pl.DataFrame:
    """Return records with the columns that the engine adds: windows by `event`, arrival within two hours of it."""
    micros = pl.col(event).cast(pl.Datetime("us")).cast(pl.Int64)
    size = size_secs * MICROS
    return records.with_columns(
        pl.col(event).cast(pl.Datetime("us")).alias(EVENT),
        (micros + pl.col("_row") % 7_200 * MICROS).alias(ARRIVED),
        (micros // size * size_secs).alias(WINDOW),
        pl.lit(1, pl.Int64).alias(SCHEMA_ID),
    )
