"""Prequential figures are river's over all rows, and honest about their error over the last."""

import math
import random

import pytest
from river import metrics

from headrace.schemas.learner_spec import TICK
from headrace.stream_processors.steps.prequential import Record, Sums, advantage, losses_of

ROWS = 3 * TICK + 57


def recorded(predictions: list[object], labels: list[object], *, classes: bool) -> tuple[Record, Sums]:
    record, full = Record(16, classes=classes), len(labels) // TICK * TICK
    for start in range(0, full, TICK):
        part = slice(start, start + TICK)
        record.take(losses_of(predictions[part], labels[part], [1.0] * TICK, classes=classes).sums())
    rest = losses_of(predictions[full:], labels[full:], [1.0] * (len(labels) - full), classes=classes)
    return record, rest.sums()


def test_figures_of_numbers_over_all_rows_are_rivers() -> None:
    chance = random.Random(1)
    labels = [chance.gauss(10, 5) for _ in range(ROWS)]
    guesses = [label + chance.gauss(0.5, 2) for label in labels]
    record, rest = recorded([*guesses], [*labels], classes=False)
    theirs = {"mae": metrics.MAE(), "rmse": metrics.RMSE(), "r2": metrics.R2()}
    for label, guess in zip(labels, guesses, strict=True):
        for metric in theirs.values():
            metric.update(label, guess)
    found = record.all_rows(rest)
    assert found.rows == ROWS
    assert {name: found.metrics[name] for name in theirs} == pytest.approx(
        {n: m.get() for n, m in theirs.items()}, rel=1e-9
    )
    assert found.loss == found.metrics["mae"]
    assert found.metrics["bias"] == pytest.approx(sum(g - y for y, g in zip(labels, guesses, strict=True)) / ROWS)


@pytest.mark.parametrize("classes", [[True, False], ["a", "b", "tab\tbin"]])
def test_figures_of_classes_over_all_rows_are_rivers(classes: list[object]) -> None:
    chance = random.Random(2)
    labels = [chance.choice(classes) for _ in range(ROWS)]
    guesses = []
    for label in labels:
        raw = {one: chance.random() + (0.5 if one == label else 0.0) for one in classes}
        guesses.append({one: share / sum(raw.values()) for one, share in raw.items()})
    record, rest = recorded([*guesses], labels, classes=True)
    accuracy, f1 = metrics.Accuracy(), metrics.MacroF1()
    for label, guess in zip(labels, guesses, strict=True):
        best = max(guess, key=lambda one: guess[one])
        accuracy.update(label, best)
        f1.update(label, best)
    found = record.all_rows(rest)
    expected = sum(-math.log(guess[label]) for label, guess in zip(labels, guesses, strict=True)) / ROWS
    assert found.metrics["log_loss"] == pytest.approx(expected, rel=1e-9)
    assert found.metrics["accuracy"] == pytest.approx(accuracy.get(), rel=1e-12)
    assert found.metrics["macro_f1"] == pytest.approx(f1.get(), rel=1e-9)
    if classes == [True, False]:
        area = metrics.ROCAUC(n_thresholds=500)
        for label, guess in zip(labels, guesses, strict=True):
            area.update(label, guess)
        assert found.metrics["roc_auc"] == pytest.approx(area.get(), abs=0.01)


def test_no_prediction_counts_as_the_worst_there_is() -> None:
    numbers = losses_of([None, math.nan], [3.0, 4.0], [1.0, 1.0], classes=False)
    assert numbers.each.tolist() == [3.0, 4.0]
    classes = losses_of([None], ["a"], [1.0], classes=True)
    assert classes.each[0] > 30


def test_rows_weigh_what_they_stand_for() -> None:
    found = losses_of([1.0, 1.0], [2.0, 5.0], [1.0, 3.0], classes=False).sums()
    assert found.mean == pytest.approx((1 * 1 + 4 * 3) / 4)


def test_error_of_the_last_rows_covers_the_truth_as_often_as_it_says() -> None:
    hits, runs = 0, 200
    for seed in range(runs):
        chance = random.Random(seed)
        record = Record(16, classes=False)
        for _ in range(16):
            guesses = [chance.gauss(0, 1) for _ in range(TICK)]
            record.take(losses_of(guesses, [0.0] * TICK, [1.0] * TICK, classes=False).sums())
        found = record.last_rows()
        hits += abs(found.loss - math.sqrt(2 / math.pi)) < 2.13 * found.error  # t of 15 degrees of freedom, 95 %
    assert 0.88 <= hits / runs <= 0.99


def test_advantage_is_of_the_same_rows_and_unknown_for_a_few_ticks() -> None:
    better, worse = Record(16, classes=False), Record(16, classes=False)
    for tick in range(12):
        hard = 1.0 + tick
        for record, more in ((better, 0.0), (worse, 0.5)):
            record.take(losses_of([hard + more] * TICK, [0.0] * TICK, [1.0] * TICK, classes=False).sums())
        gain, error = advantage(better, worse, 16)
        assert math.isinf(error) == (tick < 7)
    assert gain == pytest.approx(0.5)
    assert error == pytest.approx(0.0, abs=1e-12)
