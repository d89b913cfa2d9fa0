"""Drafts: the checks and the window that a first file suggests."""

import polars as pl
import pytest

from headrace.core.vocabulary import Severity
from headrace.schemas.check_rules import Bounds, WindowSpec
from headrace.schemas.contract import Contract
from headrace.schemas.draft_checks import ENOUGH_ROWS
from headrace.schemas.infer import Sample, draft_contract

ROWS = 100


def drafted(columns: dict[str, list[str | None]]) -> Contract:
    frame = pl.DataFrame(
        [pl.Series(f"c{place}", values, dtype=pl.String) for place, values in enumerate(columns.values())]
    )
    return draft_contract("d", Sample(tuple(columns), frame))


def numbers(count: int = ROWS) -> list[str | None]:
    return [str(number) for number in range(count)]


def test_checks_of_a_draft_only_inform() -> None:
    found = drafted({"id": numbers(), "x": ["NA", *numbers(ROWS - 1)]})
    assert found.rules == ()
    assert {check.severity for check in found.checks} == {Severity.INFO}
    assert [(check.id, check.bounds) for check in found.checks] == [
        ("id.null_rate", Bounds(upper=5)),
        ("id.duplicate_key", Bounds(0, 0)),
        ("x.null_rate", Bounds(upper=6)),
        ("some_rows", Bounds(lower=1)),
    ]


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"a": numbers(), "b": numbers()}, "a"),
        ({"a": ["1", *numbers(ROWS - 1)], "order_no": numbers()}, "order_no"),
        ({"a": ["1", *numbers(ROWS - 1)], "price": numbers()}, ""),
        ({"id": [None, *numbers(ROWS - 1)]}, ""),
        ({"id": [f"{number}.5" for number in range(ROWS)]}, ""),
        ({"id": numbers(ENOUGH_ROWS - 1)}, ""),
    ],
)
def test_a_key_is_first_or_named_like_one_and_never_missing_or_repeated(
    columns: dict[str, list[str | None]], key: str
) -> None:
    found = [check.fields[0] for check in drafted(columns).checks if check.check == "duplicate_key"]
    assert found == ([key] if key else [])


def test_bounds_of_missing_values_have_a_margin_and_end_below_all() -> None:
    some: list[str | None] = [None] * 20 + ["1.5"] * 80
    nearly: list[str | None] = [None] * 90 + ["1.5"] * 10
    found = {check.id: check.bounds for check in drafted({"a": some, "b": nearly, "c": [None] * ROWS}).checks}
    assert found == {"a.null_rate": Bounds(upper=30), "some_rows": Bounds(lower=1)}


def test_a_small_sample_suggests_only_that_there_are_rows() -> None:
    assert [check.id for check in drafted({"id": numbers(3)}).checks] == ["some_rows"]


@pytest.mark.parametrize(("step", "size"), [(1, 300), (30, 3_600), (600, 86_400), (7_200, 604_800), (90_000, 604_800)])
def test_a_window_holds_some_rows_of_the_first_timestamp(step: int, size: int) -> None:
    start = pl.datetime(2024, 1, 1)
    times = pl.select(start + pl.int_range(0, ROWS) * pl.duration(seconds=step)).to_series()
    texts = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()
    found = drafted({"n": numbers(), "At": texts, "Later": texts})
    assert found.window == WindowSpec("at", size, 0)


def test_no_timestamp_gives_no_event_time() -> None:
    assert drafted({"n": numbers(), "day": ["2024-01-01"] * ROWS}).window == WindowSpec()
