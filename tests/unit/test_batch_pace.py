"""A learner's batches: large where records are cheap, small where they are not."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.stream_processors.steps.batch_pace import FIRST_ROWS, LEAST_ROWS, MOST_ROWS, STEP_SECS, BatchPace


def sizes(seconds_a_row: float, batches: int = 12) -> list[int]:
    pace, found = BatchPace(), []
    for _ in range(batches):
        found.append(pace.rows)
        pace.took(pace.rows, pace.rows * seconds_a_row)
    return found


def test_a_cheap_model_soon_gets_the_largest_batches() -> None:
    assert sizes(2e-5)[:6] == [1_000, 2_000, 4_000, 8_000, 16_000, MOST_ROWS]
    assert set(sizes(2e-5)[5:]) == {MOST_ROWS}


def test_a_dear_model_is_through_a_batch_in_the_time_that_is_meant() -> None:
    first, *others = sizes(0.005)
    assert first == FIRST_ROWS
    assert set(others) == {int(STEP_SECS / 0.005)}


def test_a_model_that_is_dearer_than_any_gets_the_least() -> None:
    assert sizes(10.0)[1:] == [LEAST_ROWS] * 11


def test_a_batch_that_had_little_to_read_says_nothing_of_larger_ones() -> None:
    pace = BatchPace()
    pace.took(0, 0.0)
    pace.took(3, 0.0001)
    assert pace.rows == FIRST_ROWS
    pace.took(3, 3.0)
    assert pace.rows == LEAST_ROWS


@given(st.lists(st.tuples(st.integers(0, 50_000), st.floats(0, 1e6))))
def test_a_batch_is_never_out_of_bounds(batches: list[tuple[int, float]]) -> None:
    pace = BatchPace()
    for rows, seconds in batches:
        pace.took(rows, seconds)
        assert LEAST_ROWS <= pace.rows <= MOST_ROWS
