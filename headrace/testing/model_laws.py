"""What every model must promise, for tests of built-in models and of anybody's own.

A law that is broken raises AssertionError with what differs. `make` gives a new estimator for a seed.
"""

import copy
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.schemas.learner_spec import SUPERVISED, Task
from headrace.stream_processors.models.base import Estimator, Inputs, Label, Prediction
from headrace.stream_processors.steps.model_state import pack, unpack
from headrace.testing.model_cases import Case, Row, loss

Make = Callable[[int], Estimator]
_HUGE = 1e6


def hold_to_laws(make: Make, case: Case, packages: Sequence[str] = ()) -> None:
    """Hold a model to all laws but that it learns (`learns_something`), on the stream of a case.

    `packages` are the modules whose objects its state may hold: the plug-in's own, and those it lists.
    """
    predictions_change_nothing_and_seeds_repeat(make, case)
    a_copy_goes_on_as_the_original(make, case)
    a_packed_state_goes_on_as_the_original(make, case, packages)
    other_fields_are_not_looked_at(make, case)
    missing_and_unseen_values_are_survived(make, case)
    reasons_are_in_order(make, case)


def run(model: Estimator, rows: Sequence[tuple[Row, Label | None]]) -> list[Prediction]:
    """Predict and then learn each record; return the predictions."""
    found = []
    for x, y in rows:
        found.append(model.predict(x))
        model.learn(x, y)
    return found


def predictions_change_nothing_and_seeds_repeat(make: Make, case: Case) -> None:
    """Hold a model to: it learns the same whether it was asked or not, and equal seeds give equal models."""
    asked, silent = make(3), make(3)
    rows = case.rows[:250]
    for x, y in rows:
        asked.predict(x)
        asked.explain(x, 3)
        asked.learn(x, y)
        silent.learn(x, y)
    for x, _ in case.rows[-50:]:
        _same(f"prediction of {case.name} after questions", asked.predict(x), silent.predict(x))
        _same(f"reasons of {case.name} after questions", asked.explain(x, 3), silent.explain(x, 3))


def a_copy_goes_on_as_the_original(make: Make, case: Case) -> None:
    """Hold a model to: its whole state is in it, so a copy in mid-stream goes on as the original does."""
    model = make(4)
    run(model, case.rows[:150])
    other = copy.deepcopy(model)
    rest = case.rows[150:250]
    _same(f"predictions of {case.name} by a copy", run(other, rest), run(model, rest))


def a_packed_state_goes_on_as_the_original(make: Make, case: Case, packages: Sequence[str]) -> None:
    """Hold a model to: its state can be kept without pickle, and what is read back goes on as the original does."""
    model = make(4)
    run(model, case.rows[:150])
    kept = pack(model, packages)
    other = unpack(kept, packages)
    _same_state(f"state of {case.name}, packed again", pack(other, packages), kept)
    rest = case.rows[150:250]
    _same(f"predictions of {case.name} by a state read back", run(other, rest), run(model, rest))
    _same_state(f"state of {case.name} after the rest", pack(other, packages), pack(model, packages))


def other_fields_are_not_looked_at(make: Make, case: Case) -> None:
    """Hold a model to: a field that it was not made for changes nothing, so that nothing leaks."""
    chance = random.Random(1)  # noqa: S311
    rows = case.rows[:150]
    more = [(x | {"answer": y, "other": chance.random(), "text": "t"}, y) for x, y in rows]
    _same(f"predictions of {case.name} with other fields", run(make(5), more), run(make(5), rows))


def missing_and_unseen_values_are_survived(make: Make, case: Case) -> None:
    """Hold a model to: any field may be missing from any record, and values may be new or far away."""
    chance = random.Random(2)  # noqa: S311
    model = make(6)
    for x, y in [({}, case.rows[0][1]), *case.rows[:200]]:
        damaged = {name: _damaged(value, chance) for name, value in x.items() if chance.random() < 0.7}
        a_prediction_is_one(model.predict(damaged), case.inputs)
        model.explain(damaged, 3)
        model.learn(damaged, y)
        if case.inputs.task in SUPERVISED:
            model.learn(damaged, None)
    a_prediction_is_one(model.predict({}), case.inputs)


def reasons_are_in_order(make: Make, case: Case) -> None:
    """Hold a model to: reasons are of the record's fields, each once, the greatest first, no more than asked for."""
    model = make(7)
    run(model, case.rows[:200])
    for x, _ in case.rows[200:250]:
        found = model.explain(x, 10)
        _same("order of reasons", [one.field for one in sorted(found, key=lambda one: -abs(one.effect))], _names(found))
        _true(set(_names(found)) <= set(case.inputs.fields) & set(x), f"reasons of other fields: {found}")
        _true(len(set(_names(found))) == len(found), f"a field twice among the reasons {found}")
        _same("the first reason", list(model.explain(x, 1)), list(found[:1]))


def learns_something(make: Make, case: Case, dummy: Estimator | None) -> None:
    """Hold a model to: in the later half of an easy stream it is better than its opponent, or than chance."""
    found = run(make(8), case.rows)
    half = len(found) // 2
    if case.inputs.task is Task.ANOMALY:
        told = list(zip(found, case.truth, strict=True))[half:]
        scores = [(float(score), odd) for score, odd in told if isinstance(score, int | float)]
        strange = [score for score, odd in scores if odd]
        usual = sorted(score for score, odd in scores if not odd)
        bound = usual[int(0.9 * len(usual))]
        share = sum(score > bound for score in strange) / len(strange)
        _true(share > 0.5, f"{share:.0%} of the strange records score above nine tenths of the others")
    elif case.inputs.task is Task.CLUSTERING:
        groups = Counter(zip(found[half:], case.truth[half:], strict=True))
        best = {name: max(n for (one, _), n in groups.items() if one == name) for name, _ in groups}
        pure = sum(best.values()) / (len(found) - half)
        _true(pure > 0.6, f"{pure:.0%} of the records are in a cluster of their own group")
    elif dummy is not None:
        own, other = (
            sum(loss(one, y) for one, (_, y) in list(zip(predictions, case.rows, strict=True))[half:])
            for predictions in (found, run(dummy, case.rows))
        )
        _true(own < 0.9 * other, f"{case.name}: a loss of {own:.1f}, and {other:.1f} of the dummy {case.dummy}")


def a_prediction_is_one(found: Prediction, inputs: Inputs) -> None:
    """Hold a prediction to its task: a finite number, probabilities that sum to 1, or a number a step ahead."""
    if found is None:
        return
    if inputs.task is Task.FORECAST:
        _true(isinstance(found, Sequence) and len(found) == inputs.horizon, f"{found} is no forecast")
        _true(all(math.isfinite(value) for value in _values(found)), f"{found} is not finite")
    elif inputs.task in SUPERVISED and not inputs.of_numbers:
        _true(isinstance(found, Mapping), f"{found} are no probabilities")
        values = _values(found)
        _true(all(-1e-9 <= value <= 1 + 1e-9 for value in values), f"{found} are no probabilities")
        _true(not values or math.isclose(sum(values), 1, abs_tol=1e-6), f"{found} do not sum to 1")
    else:
        _true(isinstance(found, int | float) and math.isfinite(found), f"{found} is no finite number")


def _values(found: Prediction) -> list[float]:
    if isinstance(found, Mapping):
        return list(found.values())
    return list(found) if isinstance(found, Sequence) else []


def _damaged(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str):
        return f"new {chance.random()}" if chance.random() < 0.2 else value
    if isinstance(value, float) and chance.random() < 0.05:
        return chance.choice((-_HUGE, _HUGE, 0.0))
    return value


def _names(found: Sequence[Any]) -> list[str]:
    return [one.field for one in found]


def _same(what: str, found: object, wanted: object) -> None:
    _true(found == wanted, f"{what}: {found} is not {wanted}")


def _same_state(told: str, found: bytes, wanted: bytes) -> None:
    """Compare packed states; tell the first object that differs, not the megabyte that they are."""
    if found != wanted:
        pairs = zip(json.loads(found)["objects"], json.loads(wanted)["objects"], strict=False)
        differs = next((f"{one}, not {other}"[:500] for one, other in pairs if one != other), "one has more objects")
        raise AssertionError(f"{told}: {differs}")


def _true(holds: bool, told: str) -> None:
    if not holds:
        raise AssertionError(told)
