"""Whether a figure moved after an advice was followed: enough windows, a noise floor, and seldom by chance."""

import random
from typing import Any

import pytest

from headrace.stream_processors.steps.advice_outcome import ENOUGH, FEW, Figure, measured, sides

DAY = 86_400_000_000
DECIDED = 1_000 * DAY


def window(day: int, observed: float | None = 30.0, **changed: Any) -> Figure:
    start = DECIDED + day * DAY
    plain: dict[str, Any] = {"start": start, "end": start + DAY, "closed_at": start + DAY, "failed": True}
    return Figure(**(plain | {"observed": observed, "upper": 5.0, "unit": "percent", "rows": 1_000} | changed))


def story(before: list[float], after: list[float], **changed: Any) -> list[Figure]:
    found = [window(day - len(before), value, **changed) for day, value in enumerate(before)]
    return found + [window(day, value, **changed) for day, value in enumerate(after)]


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ([30.0] * 5, [2.0] * FEW, True),
        ([30.0] * 5, [2.0] * (FEW - 1), None),
        ([30.0] * (FEW - 1), [2.0] * 9, None),
        ([30.0] * 5, [30.0] * (ENOUGH - 1), None),
        ([30.0] * 5, [30.0] * ENOUGH, False),
        ([30.0] * 5, [29.0] * ENOUGH, False),
        ([30.0] * 5, [60.0] * ENOUGH, False),
        ([2.0, 2.0, 57.0, 3.0, 2.0], [2.0] * FEW, None),
        ([2.0, 2.0, 57.0, 3.0, 2.0], [2.0] * ENOUGH, False),
    ],
)
def test_figure_moved_only_beyond_its_noise_and_with_enough_windows(
    before: list[float], after: list[float], moved: bool | None
) -> None:
    found = measured(story(before, after), DECIDED)
    assert (found.moved if found else None) == moved


def test_move_names_both_figures_and_their_windows() -> None:
    found = measured(story([30.0, 32.0, 31.0], [1.0, 2.0, 1.5]), DECIDED)
    assert found is not None
    assert (found.before, found.after) == (31.0, 1.5)
    assert found.told == "31 % in 3 windows before, 1.5 % in 3 after: it moved"


def test_more_is_better_where_the_bound_is_a_least_one() -> None:
    found = measured(story([10.0] * 4, [99.0] * 4, upper=None, lower=90.0), DECIDED)
    assert found is not None
    assert found.moved
    assert measured(story([99.0] * 4, [10.0] * 4, upper=None, lower=90.0), DECIDED) is None


def test_rule_without_bounds_moves_by_the_windows_that_fail() -> None:
    failing = [window(day - 9, 2.54, upper=None, unit="value") for day in range(9)]
    passing = [window(day, 1.0, upper=None, unit="value", failed=False) for day in range(9)]
    found = measured([*failing, *passing], DECIDED)
    assert found is not None
    assert (found.moved, found.before, found.after) == (True, 100.0, 0.0)


def test_window_that_holds_records_of_both_sides_counts_for_neither() -> None:
    straddling = window(0, start=DECIDED - DAY // 2, end=DECIDED + DAY // 2, closed_at=DECIDED + DAY)
    late = window(-1, closed_at=DECIDED + DAY)
    assert sides([straddling, late], DECIDED) == ([], [])


def test_past_data_that_is_read_in_counts_when_it_came() -> None:
    old = [window(day - 700, closed_at=DECIDED - 100 + day) for day in range(3)]
    new = [window(day - 600, 1.0, closed_at=DECIDED + 1 + day) for day in range(3)]
    assert sides([*new, *old], DECIDED) == (old, new)


def test_stable_figures_are_seldom_said_to_have_moved() -> None:
    seeded, told = random.Random(4), 0
    for _ in range(400):
        values = [max(0.0, seeded.gauss(20.0, 4.0)) for _ in range(6 + ENOUGH)]
        # Looked at after each window, as the advisor does.
        told += any(
            (found := measured(story(values[:6], values[6 : 6 + after]), DECIDED)) is not None and found.moved
            for after in range(FEW, ENOUGH + 1)
        )
    assert told / 400 < 0.03
