"""Drift is warned of, told, and answered; a challenger leads only when it is better for certain."""

import random

import pytest

from headrace.schemas.learner_spec import ModelSpec, Promotion, Task
from headrace.testing.learner_rows import learned, spec_of, stream

ROWS, TURN = 14_000, 8_192


def shifted(n: int, x: dict[str, float]) -> float:
    return 3 * x["a"] if n < TURN else 40 - 3 * x["a"]


def test_a_shift_is_told_soon_and_a_model_begun_at_the_warning_takes_over() -> None:
    spec = spec_of(Task.REGRESSION, "slow", models=(ModelSpec("slow", "linear_regression", {"learning_rate": 0.0003}),))
    learner, parts, turns = learned(spec, stream(ROWS, shifted))
    kinds = {kind: [turn.rows for turn in turns if turn.kind == kind] for kind in ("warning", "drift", "swap")}
    assert [rows for rows in kinds["drift"] if rows < TURN] == []
    assert kinds["drift"][0] - TURN <= 1_024
    assert kinds["warning"][0] <= kinds["drift"][0]
    assert [rows - TURN <= 3_072 for rows in kinds["swap"]] == [True]
    assert learner.champion.generation == parts[-1].generation == 1
    for turn in (turn for turn in turns if turn.kind in {"warning", "drift"}):
        now, before = map(float, turn.detail.rpartition(": ")[2].split(" after "))
        assert now > before, turn


def test_a_stable_stream_brings_no_drift_and_no_promotion_of_an_equal() -> None:
    found = []
    for seed in range(5):
        noise = random.Random(seed)
        models = (ModelSpec("one", "linear_regression"), ModelSpec("two", "linear_regression"))
        rows = stream(ROWS, lambda _n, x, noise=noise: 2 * x["a"] + noise.gauss(0, 1), seed)  # type: ignore[misc]
        found += learned(spec_of(Task.REGRESSION, "one", models=models), rows)[2]
    assert [turn for turn in found if turn.kind in {"promotion", "swap"}] == []


def test_the_better_challenger_becomes_champion_and_its_predictions_are_published() -> None:
    models = (ModelSpec("poor", "mean"), ModelSpec("good", "linear_regression"))
    rule = Promotion(every=512, over=2_048, errors=3.0, after=2)
    learner, parts, turns = learned(
        spec_of(Task.REGRESSION, "poor", models=models, promotion=rule), stream(6_000, lambda _n, x: 2 * x["a"])
    )
    promoted = [turn for turn in turns if turn.kind == "promotion"]
    assert [(turn.contender, turn.rows) for turn in promoted] == [("good", 2_560)]
    assert "less a row than poor, 2 times in a row" in promoted[0].detail
    assert learner.state.champion == "good"
    assert [part.model for part in parts] == ["poor"] * 10 + ["good"] * (len(parts) - 10)


def test_a_dummy_never_leads() -> None:
    models = (ModelSpec("poor", "linear_regression", {"learning_rate": 1e-9}),)
    learner, _, _ = learned(spec_of(Task.REGRESSION, "poor", models=models), stream(8_000, lambda _n, _x: 100.0))
    assert learner.state.champion == "poor"
    standings = {one.name: one for one in learner.standings()}
    assert standings["mean"].dummy
    assert standings["mean"].total.loss < standings["poor"].total.loss


def test_anomalies_are_flagged_about_as_often_as_asked_and_more_when_there_are_more() -> None:
    chance = random.Random(4)
    rows = stream(8_000, lambda _n, _x: None)
    strange = {n for n in range(6_000, 8_000) if chance.random() < 0.1}
    xs = [dict(x) | ({"b": 50.0} if n in strange else {}) for n, x in enumerate(rows.xs)]
    spec = spec_of(Task.ANOMALY, "robust_z", threshold=0.01)
    _, parts, _ = learned(spec, type(rows)(xs, rows.ys, rows.weights))
    flags = [flag for part in parts for flag in part.flags]
    assert sum(map(bool, flags[1_000:6_000])) / 5_000 == pytest.approx(0.01, abs=0.01)
    found = {n for n in range(6_000, 8_000) if flags[n]}
    assert len(found & strange) / len(strange) > 0.9
