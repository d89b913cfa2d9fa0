"""Every cell is a commutative monoid: zero, order and grouping do not matter, and any split gives the same cell."""

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.stream_processors.sketches.base import WINDOW, Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.grouped import counted_column
from headrace.stream_processors.sketches.histogram import Histogram
from headrace.stream_processors.sketches.intervals import Intervals
from headrace.stream_processors.sketches.keys import KeySet
from headrace.stream_processors.sketches.lengths import Lengths, shapes
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.registry import KINDS, pack_cell, unpack_cell
from headrace.stream_processors.sketches.runs import Runs
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top

EDGES = (-10.0, 0.0, 1.0, 100.0)
KEY_LIMIT = 40
Row = tuple[str | None, float | None, int | None]


@dataclass(frozen=True)
class Subject:
    """A cell class under test: how it is made of a batch by window, and its empty cell."""

    make: Callable[[pl.DataFrame], dict[int, Any]]
    zero: Any
    exact: bool = True


SUBJECTS = {
    "tally": Subject(lambda batch: Tally.by_window(batch, "text"), Tally()),
    "extremes": Subject(lambda batch: Extremes.by_window(batch, "number"), Extremes()),
    "moments": Subject(lambda batch: Moments.by_window(batch, "number"), Moments(), exact=False),
    "quantiles": Subject(lambda batch: Quantiles.by_window(batch, "number"), Quantiles()),
    "histogram": Subject(lambda batch: Histogram.by_window(batch, "number", EDGES), Histogram()),
    "distinct": Subject(lambda batch: Distinct.by_window(batch, "text"), Distinct()),
    "distinct of two": Subject(lambda batch: Distinct.by_window(batch, ["text", "whole"]), Distinct()),
    "top": Subject(lambda batch: Top.by_window(batch, "text"), Top()),
    "shapes": Subject(lambda batch: shapes(counted_column(batch, "text")), Top()),
    "keys": Subject(lambda batch: KeySet.by_window(batch, ["text", "whole"], KEY_LIMIT), KeySet(KEY_LIMIT)),
    "last seen": Subject(lambda batch: LastSeen.by_window(batch, "text", "time", 5), LastSeen(limit=5)),
    "intervals": Subject(lambda batch: Intervals.by_window(batch, "text", "whole"), Intervals()),
    "lengths": Subject(lambda batch: Lengths.by_window(batch, "text"), Lengths(), exact=False),
}

texts = st.sampled_from(["", "a", "b", "B1", "N123AA", "ß", "日本", "x" * 70, "x" * 71]) | st.text(max_size=3)
numbers = st.sampled_from([0.0, -0.0, 1.0, -1.5, math.nan, math.inf, -math.inf, 1e300, 5e-324]) | st.floats(-1e6, 1e6)
row = st.tuples(st.none() | texts, st.none() | numbers, st.none() | st.integers(-30, 30))
rows = st.lists(row, max_size=60)
# A hundred examples of thirteen kinds of cells take a minute; twenty take a fifth.
laws = settings(max_examples=20, deadline=None)
subjects = pytest.mark.parametrize("name", SUBJECTS)


def batch_of(found: Sequence[Row], window: int = 0) -> pl.DataFrame:
    schema = {"text": pl.String, "number": pl.Float64, "whole": pl.Int32}
    frame = pl.DataFrame(list(found), schema=schema, orient="row")
    time = pl.from_epoch(pl.col("whole").cast(pl.Int64), time_unit="s").alias("time")
    return frame.with_columns(time, pl.lit(window, pl.Int64).alias(WINDOW))


def cell_of(subject: Subject, found: Sequence[Row]) -> Any:
    return subject.make(batch_of(found)).get(0, subject.zero)


def same(subject: Subject, left: Cell, right: Cell) -> bool:
    if subject.exact:
        return left.pack() == right.pack()
    if isinstance(left, Lengths) and isinstance(right, Lengths):
        return left.extremes == right.extremes and near(left.moments, right.moments)
    assert isinstance(left, Moments)
    assert isinstance(right, Moments)
    return near(left, right)


def near(left: Moments, right: Moments) -> bool:
    spread = max(1.0, left.std, abs(left.mean))
    return (
        left.n == right.n
        and math.isclose(left.mean, right.mean, rel_tol=1e-9, abs_tol=1e-9 * spread)
        and math.isclose(left.std, right.std, rel_tol=1e-6, abs_tol=1e-6 * spread)
    )


def test_every_kind_is_tried() -> None:
    tried = {type(subject.zero) for subject in SUBJECTS.values()}
    # Runs are bound to the order of rows: test_check_laws_b.py holds them to their laws.
    assert tried == set(KINDS.values()) - {Runs}
    assert len({cell.kind for cell in KINDS.values()}) == len(KINDS) >= 11


@subjects
@laws
@given(rows)
def test_the_empty_cell_changes_nothing(name: str, found: list[Row]) -> None:
    subject = SUBJECTS[name]
    cell = cell_of(subject, found)
    assert cell.merge(subject.zero).pack() == cell.pack() == subject.zero.merge(cell).pack()


@subjects
@laws
@given(rows, rows)
def test_order_of_merging_does_not_matter(name: str, one: list[Row], other: list[Row]) -> None:
    subject = SUBJECTS[name]
    left, right = cell_of(subject, one), cell_of(subject, other)
    assert left.merge(right).pack() == right.merge(left).pack()


@subjects
@laws
@given(rows, rows, rows)
def test_grouping_of_merges_does_not_matter(name: str, one: list[Row], two: list[Row], three: list[Row]) -> None:
    subject = SUBJECTS[name]
    a, b, c = (cell_of(subject, part) for part in (one, two, three))
    assert same(subject, a.merge(b).merge(c), a.merge(b.merge(c)))


@subjects
@laws
@given(rows, st.data())
def test_any_split_of_the_rows_gives_the_cell_of_all(name: str, found: list[Row], data: st.DataObject) -> None:
    subject = SUBJECTS[name]
    parts: dict[int, list[Row]] = {}
    places = data.draw(st.lists(st.integers(0, 4), min_size=len(found), max_size=len(found)))
    for place, one in zip(places, found, strict=True):
        parts.setdefault(place, []).insert(0, one)
    merged = functools.reduce(
        lambda a, b: a.merge(b), (cell_of(subject, part) for part in parts.values()), subject.zero
    )
    assert same(subject, merged, cell_of(subject, found))


@subjects
@laws
@given(rows, rows)
def test_each_window_has_the_cell_of_its_own_rows(name: str, one: list[Row], other: list[Row]) -> None:
    subject = SUBJECTS[name]
    nowhere = batch_of(one).with_columns(pl.lit(None, pl.Int64).alias(WINDOW))
    both = pl.concat([batch_of(one, 7), nowhere, batch_of(other, -7)]).sample(fraction=1, shuffle=True, seed=1)
    cells = subject.make(both)
    for window, rows_of in ((7, one), (-7, other)):
        assert same(subject, cells.get(window, subject.zero), cell_of(subject, rows_of))
    assert set(cells) <= {7, -7}


@subjects
@laws
@given(rows)
def test_bytes_give_the_same_cell_back(name: str, found: list[Row]) -> None:
    cell = cell_of(SUBJECTS[name], found)
    packed = pack_cell(cell)
    again = unpack_cell(packed)
    assert type(again) is type(cell)
    assert again == cell
    assert pack_cell(again) == packed


@subjects
@laws
@given(rows, st.integers(0, 200))
def test_damaged_bytes_are_refused_or_read_but_never_crash(name: str, found: list[Row], cut: int) -> None:
    packed = pack_cell(cell_of(SUBJECTS[name], found))
    with pytest.raises(ValueError, match=r"\w"):
        unpack_cell(bytes((0, *packed[1:])))
    with pytest.raises(ValueError, match=r"\w"):
        unpack_cell(bytes((packed[0], 99, *packed[2:])))
    damaged = packed[: min(cut, len(packed))]
    try:
        assert unpack_cell(damaged)
    except ValueError:
        return
    assert len(damaged) >= 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Top(64), Top(32)),
        (Histogram((0.0, 1.0), (0, 0, 0)), Histogram((0.0, 2.0), (0, 0, 0))),
        (KeySet(10), KeySet(20)),
        (LastSeen(limit=10), LastSeen(limit=20)),
        (Distinct(precision=12), Distinct(precision=14)),
    ],
)
def test_cells_of_another_setup_are_refused(one: Any, other: Any) -> None:
    with pytest.raises(ValueError, match="do not merge"):
        one.merge(other)


@laws
@given(st.lists(st.integers(0, 400), min_size=1, max_size=3000), st.integers(1, 6))
def test_frequent_values_stay_within_the_stated_error(values: list[int], parts: int) -> None:
    merged = Top()
    for part in range(parts):
        merged = merged.merge(Top.of(pl.Series(values[part::parts], dtype=pl.Int64)))
    listed = dict(merged.items())
    assert merged.total == len(values)
    assert merged.error <= len(values) / (merged.capacity + 1)
    for text, count in Counter(map(str, values)).items():
        assert listed.get(text, 0) <= count <= listed.get(text, 0) + merged.error


@laws
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=400), st.floats(0, 1))
def test_quantiles_stay_within_one_percent(values: list[float], q: float) -> None:
    found = Quantiles.of(pl.Series(values))
    truth = sorted(values)[math.floor(q * (len(values) - 1))]
    estimate = found.quantile(q)
    assert estimate is not None
    assert abs(estimate - truth) <= 0.010001 * abs(truth) + 1e-300
    assert found.n == len(values)


@pytest.mark.parametrize("count", [100, 512, 513, 3_000, 20_000, 300_000])
def test_distinct_values_are_estimated_within_the_error(count: int) -> None:
    found = Distinct.of(pl.Series([f"value {number}" for number in range(count)]))
    assert abs(found.estimate - count) <= (1.5 * found.error if count > 512 else 0)
    assert found.exact == (count <= 512)


@laws
@given(rows, st.integers(1, 30))
def test_a_key_set_in_parts_merges_to_itself(found: list[Row], most: int) -> None:
    whole = KeySet.of(batch_of(found), ["text", "whole"])
    parts = whole.split(8 * most)
    assert all(len(part.hashes) <= most for part in parts)
    assert functools.reduce(lambda a, b: a.merge(b), parts) == whole


@laws
@given(st.lists(st.integers(0, 2000), max_size=300), st.integers(1, 5))
def test_missing_numbers_lie_within_what_is_blurred(found: list[int], parts: int) -> None:
    schema = {"number": pl.Int64, WINDOW: pl.Int64}
    merged = Intervals()
    for part in range(parts):
        batch = pl.DataFrame({"number": found[part::parts], WINDOW: [0] * len(found[part::parts])}, schema)
        merged = merged.merge(Intervals.by_window(batch, None, "number").get(0, Intervals()))
    missing = max(found, default=0) - min(found, default=0) + 1 - len(set(found)) if found else 0
    known = merged.gaps().get("", 0)
    assert known <= missing <= known + merged.blurred
