"""What a batch adds to the windows of its dataset, and how that is put into messages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.schemas.record import FieldType, RecordField
from headrace.schemas.system import frame_system, read_system
from headrace.stream_processors.checks.base import ARRIVED, SCHEMA_ID, Check, FieldFigure
from headrace.stream_processors.checks.null_rate import NullRate
from headrace.stream_processors.sketches.base import Cell, State, merge_states
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.keys import KeySet
from headrace.stream_processors.sketches.registry import unpack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.steps import window_profile
from headrace.stream_processors.steps.delta_parts import window_parts
from headrace.stream_processors.steps.window_profile import (
    ARRIVAL_CLOCK,
    EVENT_CLOCK,
    NOT_RUN,
    Origin,
    WindowDelta,
    window_deltas,
)

HOUR = 3600
SPEC = WindowSpec("at", HOUR)
FIELDS = (
    RecordField("at", FieldType.TIMESTAMP),
    RecordField("name", FieldType.STRING),
    RecordField("size", FieldType.DOUBLE),
    RecordField("gone", FieldType.LONG),
)
NULLS = CheckRule("names", "null_rate", ("name",), bounds=Bounds(upper=2.0), unit=Unit.PERCENT)


def frame_of(count: int) -> pl.DataFrame:
    times = [None if row % 5 == 0 else datetime(2026, 1, 1, row % 3, row % 60, tzinfo=UTC) for row in range(count)]
    return pl.DataFrame(
        {
            "at": pl.Series([time and time.replace(tzinfo=None) for time in times], dtype=pl.Datetime("us")),
            "name": [None if row % 7 == 0 else f"N{row % 11}" for row in range(count)],
            "size": [float(row % 50) ** 2 for row in range(count)],
        }
    )


def origin_of(count: int, *, second: int = 10_000, **known: Any) -> Origin:
    return Origin(pl.Series([second * 1_000_000] * count, dtype=pl.Int64), **known)


def deltas_of(frame: pl.DataFrame, rules: Sequence[CheckRule] = (NULLS,), **known: Any) -> list[WindowDelta]:
    return window_deltas(frame, FIELDS, rules, SPEC, origin_of(frame.height, **known))


def state_of(delta: WindowDelta) -> State:
    fields = {f"{name} {figure}": cell for name, cells in delta.fields.items() for figure, cell in cells.items()}
    rules = {f"{rule} {name}": cell for rule, cells in delta.cells.items() for name, cell in cells.items()}
    return {name: unpack_cell(cell) for name, cell in (fields | rules).items()}


class Keys(Check):
    name = "keys"
    summary = "keys of a record"

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        return {start: {"keys": cell} for start, cell in KeySet.by_window(batch, rule.fields).items()}

    def sentence(self, rule: CheckRule) -> str:
        return ""

    def verdict(self, rule: CheckRule, view: Any) -> Any:
        raise NotImplementedError


class Failing(NullRate):
    name = "failing"

    def broken(self, rule: CheckRule) -> pl.Expr:
        return pl.col("no such column") > 0


class FailingCells(Keys):
    name = "failing_cells"

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        raise KeyError(rule.id)


class SeesColumns(NullRate):
    name = "sees_columns"

    def broken(self, rule: CheckRule) -> pl.Expr:
        return (pl.col(ARRIVED) == 10_000_000_000) & (pl.col(SCHEMA_ID) == 7)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {check.name: check() for check in (NullRate, Keys, Failing, FailingCells, SeesColumns, ReadsSize)}
    monkeypatch.setattr(window_profile, "check_named", known.__getitem__)


def test_every_record_is_in_a_window_of_arrival_and_in_one_of_event_time_if_it_has_one() -> None:
    deltas = deltas_of(frame_of(100))
    event = {delta.start: delta.rows for delta in deltas if delta.clock == EVENT_CLOCK}
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    assert list(event) == [start, start + HOUR, start + 2 * HOUR]
    assert sum(event.values()) == 80
    assert [(delta.start, delta.rows) for delta in deltas if delta.clock == ARRIVAL_CLOCK] == [(7200, 100)]


def test_records_of_a_dataset_without_event_time_are_in_windows_of_arrival_alone() -> None:
    origin = Origin(pl.Series([0, 10, HOUR, HOUR]).cast(pl.Int64) * 1_000_000)
    deltas = window_deltas(frame_of(4), FIELDS, (), WindowSpec("", HOUR), origin)
    assert [(delta.clock, delta.start, delta.rows) for delta in deltas] == [("arrival", 0, 2), ("arrival", HOUR, 2)]


def test_figures_and_rejected_rows_are_counted_on_both_clocks() -> None:
    frame = frame_of(100)
    rejected = pl.Series([row < 10 for row in range(100)])
    deltas = deltas_of(frame, rejected=rejected)
    arrival = deltas[-1]
    assert arrival.counts == {"names": {"failed": 15}}
    assert arrival.rejected == 10
    event = frame.filter(pl.col("at").is_not_null())
    assert sum(delta.counts["names"]["failed"] for delta in deltas[:-1]) == event["name"].null_count()
    assert sum(delta.rejected for delta in deltas[:-1]) == 8


def test_a_field_that_the_file_does_not_have_is_missing_in_every_record() -> None:
    missing = CheckRule("gone", "null_rate", ("gone",), bounds=Bounds(upper=2.0), unit=Unit.PERCENT)
    arrival = deltas_of(frame_of(20), (missing,))[-1]
    assert arrival.counts["gone"] == {"failed": 20}
    assert set(arrival.fields["gone"]) == {FieldFigure.COUNTS}
    assert unpack_cell(arrival.fields["gone"][FieldFigure.COUNTS]) == Tally({"rows": 20, "nulls": 20})


def test_a_text_field_and_a_number_field_have_their_figures() -> None:
    fields = deltas_of(frame_of(50))[-1].fields
    texts = {FieldFigure.COUNTS, FieldFigure.DISTINCT, FieldFigure.TOP, FieldFigure.LENGTHS, FieldFigure.SHAPES}
    assert set(fields["name"]) == texts | {FieldFigure.SEEN_EVENT, FieldFigure.SEEN_ARRIVAL}
    figures = {name: unpack_cell(cell) for name, cell in fields["size"].items()}
    assert set(figures) == set(FieldFigure) - {FieldFigure.LENGTHS, FieldFigure.SHAPES}
    assert getattr(figures["extremes"], "high", None) == 49.0**2
    assert getattr(figures["quantiles"], "n", None) == 50


def test_a_field_says_when_it_was_first_and_last_seen_by_both_times() -> None:
    """The oracle is a filter over the rows; `gone` was never seen."""
    count = 200
    frame = frame_of(count)
    arrived = pl.Series([(10_000 + row) * 1_000_000 for row in range(count)], dtype=pl.Int64)
    deltas = window_deltas(frame, FIELDS, (), SPEC, Origin(arrived))
    rows = frame.with_columns(
        arrived.alias("arrived"), pl.col("at").to_physical().alias("event"), pl.lit(None).alias("gone")
    )
    assert len(deltas) == 4
    for delta in deltas:
        column = "event" if delta.clock == EVENT_CLOCK else "arrived"
        mine = rows.filter((pl.col(column) // (HOUR * 1_000_000) * HOUR) == delta.start)
        for name in ("name", "size", "gone"):
            there = mine.filter(pl.col(name).is_not_null())
            for figure, times in (("seen_event", there["event"]), ("seen_arrival", there["arrived"])):
                cell = delta.fields[name].get(figure)
                wanted = None if times.drop_nulls().is_empty() else Extremes(float(times.min()), float(times.max()))  # type: ignore[arg-type]
                assert (None if cell is None else unpack_cell(cell)) == wanted, (delta.clock, name, figure)


def test_personal_event_time_is_in_no_profile() -> None:
    (*_, arrival) = deltas_of(frame_of(20), event_shown=False)
    assert all("seen_event" not in cells for cells in arrival.fields.values())
    assert "seen_arrival" in arrival.fields["size"]


@pytest.mark.usefixtures("checks")
@pytest.mark.parametrize("size", [1, 7, 33])
def test_any_split_of_a_batch_adds_up_to_the_same_windows(size: int) -> None:
    rules = (NULLS, CheckRule("keys", "keys", ("name", "size")))
    frame = frame_of(100)
    whole = {(delta.clock, delta.start): delta for delta in deltas_of(frame, rules)}
    rows: dict[tuple[str, int], int] = {}
    failed: dict[tuple[str, int], int] = {}
    states: dict[tuple[str, int], State] = {}
    for first in range(0, 100, size):
        for delta in deltas_of(frame.slice(first, size), rules):
            key = (delta.clock, delta.start)
            rows[key] = rows.get(key, 0) + delta.rows
            failed[key] = failed.get(key, 0) + delta.counts["names"]["failed"]
            states[key] = merge_states(states.get(key, {}), state_of(delta))
    assert rows == {key: delta.rows for key, delta in whole.items()}
    assert failed == {key: delta.counts["names"]["failed"] for key, delta in whole.items()}
    for key, delta in whole.items():
        exact = {name: cell for name, cell in state_of(delta).items() if not name.endswith(("moments", "lengths"))}
        assert {name: states[key][name] for name in exact} == exact


@pytest.mark.usefixtures("checks")
def test_a_check_that_raises_has_counted_rows_not_run_and_stops_no_other() -> None:
    rules = (CheckRule("bad", "failing", ("name",)), CheckRule("worse", "failing_cells", ("name",)), NULLS)
    for delta in deltas_of(frame_of(40), rules):
        assert delta.counts["bad"] == {NOT_RUN: delta.rows}
        assert delta.counts["worse"] == {NOT_RUN: delta.rows}
        assert set(delta.counts["names"]) == {"failed"}


@pytest.mark.usefixtures("checks")
def test_checks_see_arrival_and_schema() -> None:
    rule = CheckRule("sees", "sees_columns", ("name",))
    assert deltas_of(frame_of(40), (rule,), schema_id=7)[-1].counts["sees"] == {"failed": 40}


def test_no_rows_add_nothing() -> None:
    assert deltas_of(frame_of(0)) == []


class ReadsSize(NullRate):
    name = "reads_size"

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        return {"size": frozenset({FieldFigure.QUANTILES})}


@pytest.mark.usefixtures("checks")
def test_too_many_small_windows_have_counts_and_the_profile_that_checks_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_profile, "MOST_FIELD_WINDOWS", 11)
    rules = (NULLS, CheckRule("reads", "reads_size", ("name",)))
    *event, arrival = deltas_of(frame_of(100), rules)
    assert [set(delta.fields) for delta in event] == [{"size"}] * 3
    assert set(arrival.fields) == {known.name for known in FIELDS}
    assert all(set(delta.counts) == {"names", "reads"} for delta in event)


def rebuilt(parts: Sequence[Sequence[Mapping[str, Any]]]) -> list[WindowDelta]:
    found: dict[tuple[str, int], WindowDelta] = {}
    for item in (item for part in parts for item in part):
        delta = found.setdefault((item["clock"], item["start"]), WindowDelta(item["clock"], item["start"]))
        delta.rows += item["rows"]
        delta.rejected += item["rejected"]
        for kind in ("counts", "cells", "fields"):
            for owner, named in item[kind].items():
                known = getattr(delta, kind).setdefault(owner, {})
                assert not set(known) & set(named)
                known.update(named)
    return list(found.values())


def framed(part: Sequence[Mapping[str, Any]]) -> bytes:
    empty: dict[str, Any] = {"rows": 0, "rejected": 0, "reasons": {}, "rules": {}, "columns": []}
    return frame_system("profile_delta", 1, {"dataset": "wide", "file": "f", "stage": "judge", "windows": part} | empty)


def test_five_hundred_columns_are_split_into_messages_below_the_limit() -> None:
    columns = {f"column_{number}": [f"{number} {row}" for row in range(1500)] for number in range(500)}
    fields = tuple(RecordField(name, FieldType.STRING) for name in columns)
    deltas = window_deltas(pl.DataFrame(columns), fields, (), WindowSpec(), origin_of(1500))
    most = 448 * 1024
    parts = window_parts(deltas, most)
    sizes = [len(framed(part)) for part in parts]
    assert max(sizes) < 512 * 1024
    assert len(parts) == pytest.approx(sum(sizes) / most, abs=2)
    assert rebuilt(parts) == deltas
    assert sum(item["rows"] for part in parts for item in part) == 1500


def test_windows_go_through_avro_unchanged() -> None:
    parts = window_parts(deltas_of(frame_of(100)), 2_000)
    assert len(parts) > 2
    assert [read_system("profile_delta", framed(part))["windows"] for part in parts] == parts


@pytest.mark.usefixtures("checks")
def test_a_key_set_greater_than_a_message_goes_in_pieces() -> None:
    frame = pl.DataFrame({"name": [f"key {number}" for number in range(5_000)]})
    rule = CheckRule("keys", "keys", ("name",))
    (delta,) = window_deltas(frame, (), (rule,), WindowSpec(), origin_of(5_000))
    parts = window_parts([delta], 10_000)
    pieces = [unpack_cell(item["cells"]["keys"]["keys"]) for part in parts for item in part if "keys" in item["cells"]]
    merged = KeySet()
    for piece in pieces:
        assert isinstance(piece, KeySet)
        merged = merged.merge(piece)
    assert len(pieces) >= 8
    assert merged == unpack_cell(delta.cells["keys"]["keys"])
    assert sum(item["rows"] for part in parts for item in part) == 5_000


def test_nothing_gives_no_parts() -> None:
    assert window_parts([], 1_000) == []
