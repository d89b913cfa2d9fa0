"""Every installed kind of model, on every task that it does, keeps the laws of models and learns an easy stream."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import pytest

from headrace.errors import WrongUse
from headrace.stream_processors.models.base import Estimator, Prediction
from headrace.stream_processors.models.catalog import make_model, model_kind, model_names
from headrace.testing.model_cases import Case, cases
from headrace.testing.model_laws import hold_to_laws, learns_something, run

ROOT = Path(__file__).parents[2]
DUMMIES = {"last_value", "mean", "majority", "prior"}
# Enough records for small windows and seasons; what is asked of a model stays the same.
OPTIONS = {"half_space_trees": {"window": 100}, "clustream": {"small_clusters": 20}, "adaptive_forest": {"trees": 4}}


@cache
def streams() -> dict[str, Case]:
    return {case.name: case for case in cases()}


def made(name: str, case: Case, seed: int) -> Estimator:
    return make_model(name, OPTIONS.get(name, {}), case.inputs, seed)


def pairs() -> list[tuple[str, str]]:
    """Return each kind with each case that it can be made for; what it says it does and refuses is for others."""
    found = []
    for name in model_names():
        for case in streams().values():
            try:
                made(name, case, 1)
            except WrongUse:
                continue
            found.append((name, case.name))
    return found


PAIRS = pairs()


@pytest.mark.parametrize(("name", "stream"), PAIRS)
def test_a_model_keeps_the_laws(name: str, stream: str) -> None:
    hold_to_laws(partial(made, name, streams()[stream]), streams()[stream])


@pytest.mark.parametrize(("name", "stream"), [pair for pair in PAIRS if pair[0] not in DUMMIES])
def test_a_model_learns_an_easy_stream(name: str, stream: str) -> None:
    case = streams()[stream]
    learns_something(partial(made, name, case), case, made(case.dummy, case, 1) if case.dummy else None)


def test_no_installed_kind_is_without_a_case_for_each_of_its_tasks() -> None:
    covered = {(name, streams()[stream].inputs.task) for name, stream in PAIRS}
    said = {(name, task) for name in model_names() for task in model_kind(name).tasks}
    assert said == covered
    assert len(model_names()) >= 16
    assert len(PAIRS) >= 30


def told() -> str:
    """Return what each kind predicts for its streams, for another process to say the same."""
    found = {}
    for name, stream in PAIRS:
        case = streams()[stream]
        model = made(name, case, 9)
        predicted = run(model, case.rows[:150])
        found[f"{name} {stream}"] = f"{hash_free(predicted[-5:])} {model.explain(case.rows[0][0], 9)}"
    return json.dumps(found)


def hash_free(predicted: list[Prediction]) -> str:
    """Return predictions as text; the order of classes says nothing, by contract."""
    return str([sorted(one.items(), key=str) if isinstance(one, Mapping) else one for one in predicted])


def test_equal_streams_give_equal_predictions_in_processes_that_hash_texts_otherwise() -> None:
    program = "from tests.contract.test_model_laws import told; print(told())"
    said = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                cwd=ROOT,
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert {name for name in said[0] if said[0][name] != said[1][name]} == set()
    assert len(said[0]) == len(PAIRS)
