"""Forecasts are judged in windows: a year of days is enough for the better model to become champion."""

import random
from typing import Any

from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learn import Rows
from headrace.testing.learner_files import FORECAST, learner

DAYS, CHANGE = 365, 182
STIFF: dict[str, Any] = {"model": "holt_winters", "name": "stiff", "options": {"level": 0.01, "seasonal": 0.01}}
QUICK = {"model": "holt_winters", "name": "quick"}


def year(models: list[dict[str, Any]], jump: float = 0.0) -> list[Turn]:
    """Return what happens to models over a year of days that repeat by the week; after `CHANGE` all are `jump` more."""
    spec = learner(FORECAST | {"models": models, "season": 7, "horizon": 7})
    chance = random.Random(3)
    week = (900, 930, 940, 950, 980, 700, 650)
    days = [week[day % 7] + chance.gauss(0, 10) + (jump if day >= CHANGE else 0.0) for day in range(DAYS)]
    _, turns = make_learner(spec).take(Rows([{}] * DAYS, days, [1.0] * DAYS))
    return turns


def test_over_a_year_of_days_the_better_model_becomes_champion() -> None:
    promoted = [(one.contender, one.rows) for one in year([STIFF, QUICK]) if one.kind == "promotion"]
    assert promoted == [("quick", 80)], "64 days are judged, three times in a row, 8 days apart"


def test_the_better_model_stays_champion() -> None:
    assert [one for one in year([QUICK, STIFF]) if one.kind == "promotion"] == []


def test_a_level_that_jumps_is_a_drift_of_the_forecast_within_two_ticks() -> None:
    quiet, jumped = year([QUICK, STIFF]), year([QUICK, STIFF], jump=500.0)
    drifts = [one.rows for one in jumped if (one.kind, one.contender) == ("drift", "quick")]
    assert not [one for one in quiet if one.kind == "drift" and one.rows > CHANGE]
    assert drifts
    assert all(CHANGE < rows <= CHANGE + 16 for rows in drifts)
