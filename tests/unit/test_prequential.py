"""Prequential figures are river's over all rows, and honest about their error over the last."""

import itertools
import math
import random
import statistics
from collections.abc import Sequence

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


def sampled(chances: Sequence[float], seed: int) -> Record:
    """Return the record of rows of which each tick had a chance of its own, by turns; losses are exponential."""
    chance, record = random.Random(seed), Record(16, classes=False)
    taken = [share for share in itertools.islice(itertools.cycle(chances), 4_000) if chance.random() < share]
    for start in range(0, len(taken) // TICK * TICK, TICK):
        weights = [1 / share for share in taken[start : start + TICK]]
        guesses = [chance.expovariate(1.0) for _ in weights]
        record.take(losses_of(guesses, [0.0] * TICK, weights, classes=False).sums())
    return record


@pytest.mark.parametrize("chances", [(1.0,), (0.2,), (1.0, 0.05), (0.5, 0.05, 1.0)])
def test_error_of_all_rows_is_how_far_sampled_means_lie_apart(chances: tuple[float, ...]) -> None:
    found = [sampled(chances, seed).all_rows(Sums()) for seed in range(150)]
    apart = statistics.stdev(one.loss for one in found)
    assert statistics.fmean(one.error for one in found) == pytest.approx(apart, rel=0.2)


def test_error_of_the_last_ticks_counts_each_by_its_weight() -> None:
    record, losses, weights = Record(8, classes=False), [1.0, 2.0] * 4, [1.0, 20.0] * 4
    for loss, weight in zip(losses, weights, strict=True):
        record.take(losses_of([loss] * TICK, [0.0] * TICK, [weight] * TICK, classes=False).sums())
    found, mean = record.last_rows(), 41 / 21
    spread = sum((weight * (loss - mean)) ** 2 for loss, weight in zip(losses, weights, strict=True)) * 8 / 7
    assert found.loss == pytest.approx(mean)
    assert found.error == pytest.approx(math.sqrt(spread) / sum(weights))


def test_error_of_equal_weights_is_that_of_a_plain_mean() -> None:
    chance = random.Random(7)
    losses = [chance.expovariate(1.0) for _ in range(TICK)]
    rest = losses_of(losses, [0.0] * TICK, [4.0] * TICK, classes=False).sums()
    found = Record(16, classes=False).all_rows(rest)
    assert found.error == pytest.approx(statistics.pstdev(losses) / math.sqrt(TICK))


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
