"""Scores without labels: the share that is flagged is about the one asked for, a burst is flagged, a season is not."""

import numpy as np
import pytest

from headrace.stream_processors.steps.scores import Scores

TICK, TICKS, SHARE = 256, 16, 0.01


def flagged(scores: Scores, tick: np.ndarray) -> list[bool]:
    """Give a tick and return what of it was flagged."""
    marks = [scores.limit is not None and bool(one > scores.limit) for one in tick]
    scores.take(tick.tolist(), marks, SHARE)
    return marks


@pytest.mark.parametrize("season", [0.0, 1.0, 4.0])
def test_about_the_share_asked_for_is_flagged_also_where_scores_rise_and_fall_slowly(season: float) -> None:
    scores, chance, found = Scores(TICKS), np.random.default_rng(7), []
    for tick in range(400):
        found += flagged(scores, chance.normal(season * np.sin(tick / 400 * 2 * np.pi), 1.0, TICK))
    assert SHARE / 4 < np.mean(found) < 3 * SHARE


def test_a_level_that_stays_is_usual_once_it_lasted_longer_than_a_burst() -> None:
    scores, chance = Scores(TICKS), np.random.default_rng(7)
    for _ in range(100):
        flagged(scores, chance.normal(0.0, 1.0, TICK))
    shares = [np.mean(flagged(scores, chance.normal(10.0, 1.0, TICK))) for _ in range(60)]
    assert shares[:8] == [1.0] * 8
    assert max(shares[20:]) < 10 * SHARE
    assert scores.flagged is not None


def test_a_burst_is_flagged_to_its_end_and_leaves_little_behind() -> None:
    scores, chance = Scores(TICKS), np.random.default_rng(7)
    for _ in range(100):
        flagged(scores, chance.normal(0.0, 1.0, TICK))
    before = scores.limit
    for _ in range(6):
        burst = np.concatenate([chance.normal(0.0, 1.0, TICK // 2), chance.normal(9.0, 0.5, TICK // 2)])
        assert sum(flagged(scores, burst)[TICK // 2 :]) == TICK // 2
    assert before is not None
    assert scores.limit is not None
    assert before <= scores.limit < before + 0.5
