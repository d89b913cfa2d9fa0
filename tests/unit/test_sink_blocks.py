"""Segments: cut at the schema, the rows and the bytes; a repeated range is cut exactly as it was."""

import io
from dataclasses import dataclass

import fastavro
import polars as pl
import pytest

from headrace.errors import PositionLost
from headrace.schemas.codec import encode, polars_schema
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.system import frame_system, system_schema_text
from headrace.sinks import blocks
from headrace.sinks.base import Target, target_of
from headrace.sinks.blocks import Backlog, record_block, record_frame, repetitive_columns, system_block
from headrace.transport.partition_reader import Place, Run

PLACE = Place("orders.valid", 3)
TARGET = Target("orders")


@dataclass
class Stored:
    """What a Kafka message is to a Run."""

    at: int
    content: bytes | None
    name: bytes | None = None
    time_ms: int = 1_700_000_000_000


class FakeRun(Run):
    """A Run over messages that did not come from Kafka."""

    def values(self) -> list[bytes | None]:
        return [message.content for message in self.messages]

    def keys(self) -> list[bytes | None]:
        return [message.name for message in self.messages]

    def offsets(self) -> list[int]:
        return [message.at for message in self.messages]

    def timestamps(self) -> list[int]:
        return [message.time_ms for message in self.messages]

    def header(self, index: int, name: str) -> bytes:
        return f"00-{'0' * 32}-{self.messages[index].at:016x}-01".encode()


def run(*messages: Stored, place: Place = PLACE) -> Run:
    return FakeRun(place, list(messages))


def framed(schema_id: int, body: bytes = b"x") -> bytes:
    return b"\0" + schema_id.to_bytes(4) + body


def backlog(*ids: int, exactly: int = -1) -> Backlog:
    made = Backlog(PLACE, TARGET, 0, exactly=exactly)
    made.add(run(*(Stored(offset, framed(schema_id)) for offset, schema_id in enumerate(ids))), now=1.0)
    return made


def ranges(made: Backlog) -> list[tuple[int, int, int]]:
    found = []
    while segment := made.head(partial=True):
        made.take()
        found.append((segment.schema_id, segment.first, segment.last))
    return found


def test_block_is_cut_where_the_schema_changes() -> None:
    assert ranges(backlog(7, 7, 8, 7)) == [(7, 0, 1), (8, 2, 2), (7, 3, 3)]


def test_block_is_cut_at_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 3)
    assert ranges(backlog(*[7] * 7)) == [(7, 0, 2), (7, 3, 5), (7, 6, 6)]


def test_block_is_cut_at_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 15)
    assert ranges(backlog(*[7] * 5)) == [(7, 0, 1), (7, 2, 3), (7, 4, 4)]


def test_message_larger_than_a_block_is_a_block_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4)
    assert ranges(backlog(7, 7)) == [(7, 0, 0), (7, 1, 1)]


def test_only_a_complete_segment_is_given_out_unless_a_partial_one_will_do() -> None:
    made = backlog(7, 7, 8)
    assert made.head(partial=False) is made.take()
    assert made.head(partial=False) is None
    assert made.head(partial=True) is not None


def test_repeated_range_ends_where_it_ended_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 2)
    assert ranges(backlog(*[7] * 6, exactly=2)) == [(7, 0, 2), (7, 3, 4), (7, 5, 5)]


def test_repeated_range_waits_for_its_last_message() -> None:
    made = backlog(7, 7, exactly=2)
    assert made.head(partial=True) is None
    made.add(run(Stored(2, framed(7))), now=2.0)
    segment = made.head(partial=False)
    assert segment is not None
    assert (segment.first, segment.last) == (0, 2)


def test_offsets_already_seen_are_left_out() -> None:
    made = backlog(7, 7)
    made.add(run(Stored(1, framed(7)), Stored(5, framed(7))), now=2.0)
    made.add(run(Stored(5, framed(7))), now=2.0)
    segment = made.take()
    assert segment.offsets == [0, 1, 5]
    assert made.rows == 0


def test_message_that_is_not_framed_stops_the_partition_and_names_its_offset() -> None:
    made = Backlog(PLACE, TARGET, 0)
    with pytest.raises(PositionLost, match=r"orders.valid/3\" offset 1"):
        made.add(run(Stored(0, framed(7)), Stored(1, b"{}")), now=1.0)


def test_tombstone_is_refused_where_nothing_overwrites() -> None:
    with pytest.raises(PositionLost, match="offset 0"):
        Backlog(PLACE, TARGET, 0).add(run(Stored(0, None)), now=1.0)


SCHEMA = RecordSchema(
    "orders",
    (
        RecordField("id", FieldType.LONG),
        RecordField("note", FieldType.STRING),
        RecordField("at", FieldType.TIME),
    ),
)


def records(rows: int) -> list[bytes]:
    data = {
        "id": list(range(rows)),
        "note": [None] * rows,
        "at": [0] * rows,
        "_file": ["0123456789abcdef"] * rows,
        "_row": list(range(rows)),
    }
    frame = pl.DataFrame(data, schema_overrides={"at": pl.Int64}).cast(dict(polars_schema(SCHEMA)))  # type: ignore[arg-type]
    return encode(frame, SCHEMA, 7)


def test_record_block_carries_place_and_offsets_also_over_gaps() -> None:
    made = Backlog(PLACE, TARGET, 0)
    made.add(run(*(Stored(offset, value) for offset, value in zip([0, 1, 5], records(3), strict=True))), now=1.0)
    segment = made.take()
    frame = record_frame(segment, SCHEMA, PLACE)
    block = record_block(segment, frame, PLACE, TARGET)
    back = pl.read_parquet(io.BytesIO(block.data))
    assert back["_offset"].to_list() == [0, 1, 5]
    assert back["_topic"].unique().to_list() == ["orders.valid"]
    assert back["_partition"].unique().to_list() == [3]
    assert back["at"].to_list() == ["00:00:00.000000"] * 3
    assert block.token == "orders.valid/3/0-5"
    assert block.columns == tuple(back.columns)


def test_undecodable_record_stops_the_partition_and_names_its_offset() -> None:
    made = Backlog(PLACE, TARGET, 0)
    values = records(3)
    made.add(run(Stored(4, values[0]), Stored(6, values[1][:-1]), Stored(7, values[2])), now=1.0)
    with pytest.raises(PositionLost, match=r"offset 6"):
        record_frame(made.take(), SCHEMA, PLACE)


def test_system_block_puts_the_place_before_each_body_and_marks_tombstones() -> None:
    place, target = Place("quality.alerts", 0), Target("alert_entries", "alert", overwriting=True)
    text = system_schema_text("alert")
    made = Backlog(place, target, 0)
    made.add(run(Stored(9, None, b"gone"), place=place), now=1.0)
    block = system_block(made.take(), text, place, target)
    [row] = list(fastavro.reader(io.BytesIO(block.data)))
    assert isinstance(row, dict)
    assert (row["_topic"], row["_offset"], row["_key"], row["_deleted"]) == ("quality.alerts", 9, "gone", 1)
    assert block.columns[:4] == ("_topic", "_partition", "_offset", "_ingested_at")


def profile_delta(windows: list[dict[str, object]]) -> bytes:
    value: dict[str, object] = {"dataset": "orders", "file": "0a", "stage": "judge", "rows": 2, "rejected": 0}
    return frame_system("profile_delta", 7, value | {"reasons": {}, "rules": {}, "columns": [], "windows": windows})


def test_system_block_leaves_out_the_fields_at_the_end_that_are_not_stored() -> None:
    place, target = Place("quality.profiles", 0), target_of("quality.profiles")
    assert target is not None
    cells = {"keys": {"keys": bytes(100_000)}}
    window = {"clock": "event", "start": 0, "rows": 2, "rejected": 0, "counts": {}, "cells": cells, "fields": {}}
    made = Backlog(place, target, 0)
    made.add(run(Stored(1, profile_delta([window])), Stored(2, profile_delta([])), place=place), now=1.0)
    block = system_block(made.take(), system_schema_text("profile_delta"), place, target)
    rows = [row for row in fastavro.reader(io.BytesIO(block.data)) if isinstance(row, dict)]
    assert [(row["_offset"], row["dataset"], row["rows"]) for row in rows] == [(1, "orders", 2), (2, "orders", 2)]
    assert "windows" not in rows[0]
    assert "windows" not in block.columns
    assert len(block.data) < 10_000


def test_system_record_that_ends_too_early_stops_the_partition_and_names_its_offset() -> None:
    place, target = Place("quality.profiles", 0), target_of("quality.profiles")
    assert target is not None
    made = Backlog(place, target, 0)
    made.add(run(Stored(4, profile_delta([])[:9]), place=place), now=1.0)
    with pytest.raises(PositionLost, match=r"offset 4"):
        system_block(made.take(), system_schema_text("profile_delta"), place, target)


def test_columns_repeat_only_if_values_come_twenty_times_each() -> None:
    frame = pl.DataFrame({"carrier": ["AA", "UA"] * 1_000, "tail": [f"N{n // 10}" for n in range(2_000)]})
    assert repetitive_columns(frame) == {"carrier"}
    assert repetitive_columns(frame.head(999)) == frozenset()
