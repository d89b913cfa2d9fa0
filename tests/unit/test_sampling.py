"""Above its budget a learner takes a fair sample, the same whenever the log is read."""

import numpy as np
import pytest

from headrace.stream_processors.steps.sampling import SLICE_MS, Sampler

FILES = np.full(200_000, 0x5D1EA2548A3941EA, np.uint64)
ROWS = np.arange(200_000, dtype=np.int64)


def moments(rows_per_second: int, rows: int = 200_000) -> np.ndarray:
    return 1_700_000_000_000 + (np.arange(rows) * 1_000 // rows_per_second).astype(np.int64)


def test_within_the_budget_every_row_is_taken_for_certain() -> None:
    taken, chances = Sampler(10_000).choose(moments(5_000), FILES, ROWS)
    assert taken.all()
    assert (chances == 1.0).all()


@pytest.mark.parametrize("cut", [1, 1_500, 4_999])
def test_a_burst_is_taken_whole_while_a_seconds_budget_has_room_for_as_many_again(cut: int) -> None:
    times = 1_700_000_000_000 + SLICE_MS * (np.arange(6_000) >= cut).astype(np.int64)
    taken, chances = Sampler(10_000).choose(times, FILES[:6_000], ROWS[:6_000])
    assert taken.all()
    assert (chances == 1.0).all()


def test_a_burst_above_a_seconds_budget_takes_less_than_twice_that() -> None:
    times = 1_700_000_000_000 + (np.arange(200_000) // 4_000 * SLICE_MS).astype(np.int64)
    taken, _ = Sampler(10_000).choose(times, FILES, ROWS)
    first_second = taken[:40_000].sum()
    assert 10_000 <= first_second < 20_000


def test_without_a_budget_every_row_is_taken() -> None:
    assert Sampler(0).choose(moments(1_000_000), FILES, ROWS)[0].all()


def test_above_the_budget_as_many_rows_are_taken_as_it_says() -> None:
    sampler = Sampler(5_000)
    taken, _ = sampler.choose(moments(50_000), FILES, ROWS)
    after = taken[50_000 * SLICE_MS // 1_000 :]  # the first slice has no rate before it
    seconds = len(after) / 50_000
    assert after.sum() == pytest.approx(5_000 * seconds, rel=0.05)
    assert (sampler.seen, sampler.taken) == (200_000, taken.sum())


def test_weighted_sums_of_the_sample_are_those_of_all_rows() -> None:
    values, found = ROWS % 977 + 1.0, []
    for seed in range(40):
        # Half of the rows come slowly and half fast: a plain mean would be of the slow ones.
        times = np.concatenate([moments(2_000, 100_000), 1_700_000_100_000 + moments(80_000, 100_000) % 10**9])
        taken, chances = Sampler(4_000, seed).choose(np.sort(times), FILES, ROWS)
        found.append((values[taken] / chances[taken]).sum() / values.sum())
    assert np.mean(found) == pytest.approx(1.0, abs=3 * np.std(found) / np.sqrt(len(found)) + 1e-9)


@pytest.mark.parametrize("cut", [1, 777, 50_000, 199_999])
def test_the_sample_does_not_depend_on_where_batches_end(cut: int) -> None:
    times = moments(60_000)
    whole = Sampler(5_000).choose(times, FILES, ROWS)
    sampler = Sampler(5_000)
    first = sampler.choose(times[:cut], FILES[:cut], ROWS[:cut])
    second = sampler.choose(times[cut:], FILES[cut:], ROWS[cut:])
    for all_at_once, before, after in zip(whole, first, second, strict=True):
        np.testing.assert_array_equal(all_at_once, np.concatenate([before, after]))


def test_other_files_draw_other_lots() -> None:
    one = Sampler(5_000).choose(moments(50_000), FILES, ROWS)[0]
    other = Sampler(5_000).choose(moments(50_000), FILES + np.uint64(1), ROWS)[0]
    both = (one & other)[10_000:].mean() / (one[10_000:].mean() * other[10_000:].mean())
    assert both == pytest.approx(1.0, abs=0.15)
