"""What a window tells of the most frequent values: never more than is known."""

import polars as pl

from headrace.stream_processors.sketches.top import CAPACITY, Top
from headrace.stream_processors.steps.window_record import _frequent


def test_counts_of_few_values_are_exact() -> None:
    cell = Top.of(pl.Series(["a"] * 3 + ["b"] * 2))
    assert _frequent(cell, 5) == [{"value": "a", "count": 3}, {"value": "b", "count": 2}]
    assert Top.exact(2.0)


def test_values_that_may_be_twice_as_frequent_are_not_told_and_heavy_ones_are_told_as_the_least() -> None:
    days = [f"day {number % (6 * CAPACITY)}" for number in range(28 * 6 * CAPACITY)]
    parts = [pl.Series(days[start::7] + ["heavy"] * 400) for start in range(7)]
    merged = Top.of(parts[0])
    for part in parts[1:]:
        merged = merged.merge(Top.of(part))
    told = _frequent(merged, 10)
    assert [one["value"] for one in told] == ["heavy"], "all days are alike"
    assert 1_400 < told[0]["count"] <= 2_800
    assert not Top.exact(float(6 * CAPACITY))
