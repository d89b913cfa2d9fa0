"""The bench of learners, on few records: what it tells is told, and its picture is drawn."""

from math import isfinite

import pytest

from benchmarks.learn_chart import chart
from benchmarks.learn_results import SHIPPED, river_table, table, told_year
from benchmarks.learn_speed import CASES, rivers_micros
from headrace.schemas.learner_store import shipped_learners

ROWS = 9_000


def test_every_shipped_learner_is_benched() -> None:
    assert set(SHIPPED) == set(shipped_learners())


def test_linear_models_of_flights_beat_their_dummies_within_days() -> None:
    for name, model in (("flights_delay", "linear_regression"), ("flights_late", "logistic_regression")):
        found = {one["model"]: one for one in told_year(name, ROWS).models}
        assert found[model]["beats_dummy_all"], found
        assert all(isfinite(one["loss"]) for one in found.values())


def test_a_table_shows_dummies_and_says_who_does_not_beat_them() -> None:
    told = table(told_year("flights_volume", 30_000))
    assert "| last_season |" in told
    assert "does not beat its dummy" in told


def test_the_picture_has_a_curve_for_the_champion_and_its_dummy() -> None:
    assert chart([told_year("flights_delay", ROWS)]).count("<polyline ") == 2


def test_figures_of_rivers_streams_are_rivers() -> None:
    told = river_table(rows=150)
    assert "**no" not in told
    assert told.count("| yes |") >= 20


@pytest.mark.parametrize("case", CASES)
def test_river_alone_can_be_timed(case: str) -> None:
    assert rivers_micros(case, 300) > 0
