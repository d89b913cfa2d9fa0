"""Labels that come later find their records, whichever comes first; what never comes is given up and counted."""

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.label_join import Case, Waiting
from headrace.testing.learner_rows import learned, spec_of, stream


def case(at_ms: int = 0) -> Case:
    return Case({"a": 1.0}, {"m": 2.0}, 1.0, at_ms)


def test_a_label_finds_all_records_of_its_key_once() -> None:
    waiting = Waiting()
    assert waiting.record(("k",), case(1)) is None
    assert waiting.record(("k",), case(2)) is None
    assert [one.at_ms for one in waiting.label(("k",), 5.0, 3)] == [1, 2]
    assert waiting.label(("other",), 5.0, 3) == []
    assert waiting.count == 0


def test_a_label_that_is_early_is_there_when_its_record_comes() -> None:
    waiting = Waiting()
    waiting.label(("k",), 5.0, 1)
    assert waiting.record(("k",), case(2)) == 5.0
    assert waiting.record(("k",), case(3)) is None


def test_first_of_two_early_labels_is_the_one_that_is_learned() -> None:
    waiting = Waiting()
    waiting.label(("k",), 5.0, 1)
    waiting.label(("k",), 6.0, 2)
    assert waiting.record(("k",), case(3)) == 5.0
    assert waiting.record(("k",), case(4)) is None


def test_early_label_waits_from_when_it_came_first() -> None:
    waiting = Waiting()
    waiting.label(("k",), 5.0, 1_000)
    waiting.label(("k",), 6.0, 5_000)
    waiting.expire(6_000, wait_ms=2_000, most=100)
    assert (waiting.labels, waiting.unused) == ({}, 1)


def test_what_waited_too_long_or_is_too_much_is_given_up_oldest_first() -> None:
    waiting = Waiting()
    for number in range(10):
        waiting.record((number,), case(number * 1_000))
        waiting.label((-number - 1,), 1.0, number * 1_000)
    waiting.expire(9_000, wait_ms=5_000, most=100)
    assert (waiting.count, waiting.given_up, waiting.unused) == (6, 4, 4)
    waiting.expire(9_000, wait_ms=5_000, most=2)
    assert (waiting.count, waiting.given_up, waiting.unused) == (2, 8, 8)
    assert list(waiting.cases) == [(8,), (9,)]


def test_learning_late_is_judged_by_what_was_predicted_then() -> None:
    spec, rows = spec_of(Task.REGRESSION, "linear_regression"), stream(600, lambda _n, x: 2 * x["a"])
    late = make_learner(spec)
    waiting = [(late.guess(x), x, y) for x, y in zip(rows.xs, rows.ys, strict=True)]
    for guesses, x, y in waiting:
        assert y is not None
        late.learn_late(Case(x, guesses, 1.0, 0), y)
    at_once, _, _ = learned(spec, rows)
    found, other = ({one.name: one.total.loss for one in learner.standings()} for learner in (late, at_once))
    # Nothing was learned when the predictions were made: the model lost what a guess of nothing loses.
    assert found["linear_regression"] > 1.0 > other["linear_regression"]
    assert late.champion.estimator.predict(rows.xs[0]) == at_once.champion.estimator.predict(rows.xs[0])
