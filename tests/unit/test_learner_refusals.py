"""Learners' files that cannot be followed: each fault is told once, by line, key and value, with the next action."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import LearnerInvalid
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import ModelSpec
from headrace.testing.learner_files import (
    ANOMALY,
    BARE,
    FORECAST,
    IMPUTED,
    LABEL,
    LATE,
    LATER,
    PLAIN,
    contracts,
    learner,
    problems,
)
from headrace.testing.model_kinds import forget_kinds, install_kinds


@pytest.fixture(autouse=True)
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    install_kinds(tmp_path)
    yield
    monkeypatch.undo()
    forget_kinds()


WRONG: list[tuple[dict[str, Any], str]] = [
    (PLAIN | {"name": "Weights"}, 'name: is not a safe name (found "Weights"); use a lower-case letter'),
    (PLAIN | {"name": "w" * 64}, "name: is not a safe name"),
    (PLAIN | {"version": 1.0}, 'version: input should be a valid string (found "1.0"); correct the value (quote it'),
    (PLAIN | {"version": "1+2"}, "version: "),
    (PLAIN | {"dataset": "Orders!"}, "dataset: cannot be a dataset"),
    (PLAIN | {"dataset": ""}, "dataset: cannot be a dataset"),
    (PLAIN | {"dataset": "shops"}, 'dataset: is a dataset without a contract (found "shops"); drop a file of it first'),
    (PLAIN | {"dataset": "broken"}, "dataset: its contract cannot be followed: contract broken.odcs.yaml: line 1"),
    (PLAIN | {"task": "regresion"}, "task: not allowed (found \"regresion\"); write 'regression'"),
    (PLAIN | {"task": None}, "task is missing"),
    (PLAIN | {"modles": []}, 'modles: unknown key; did you mean "models"?'),
    (PLAIN | {"zzz": 1}, 'zzz: unknown key (found "1"); known here: budget, dataset'),
    (PLAIN | {"rowsPerSecond": 9}, 'rowsPerSecond: unknown key (found "9"); it belongs under budget'),
    (PLAIN | {"budget": {"seed": 9}}, 'budget.seed: unknown key (found "9"); it belongs at the top of the document'),
    (PLAIN | {"budget": {"rowsPerSecond": -1}}, "budget.rowsPerSecond: input should be greater than or equal to 0"),
    (PLAIN | {"budget": 5}, "budget: "),
    (PLAIN | {"seed": -1}, "seed: input should be greater than or equal to 0"),
    (PLAIN | {"seed": "1"}, "seed: input should be a valid integer"),
    (PLAIN | {"explain": 17}, "explain: input should be less than or equal to 16"),
    (PLAIN | {"snapshotRows": 1}, "snapshotRows: input should be greater than or equal to 256"),
    (PLAIN | {"rolling": 1000}, 'rolling: is no multiple of 256 rows (found "1000"); write e.g. 1024'),
    (PLAIN | {"rolling": 1}, 'rolling: is less than 256 rows (found "1"); write e.g. 256'),
    (
        PLAIN | {"promotion": {"every": 300}},
        'promotion.every: is no multiple of 256 rows (found "300"); write e.g. 512',
    ),
    (
        PLAIN | {"promotion": {"over": 3000}},
        'promotion.over: is no multiple of 256 rows (found "3000"); write e.g. 3072',
    ),
    (PLAIN | {"promotion": {"over": 1024}}, 'promotion.over: is less than 2048 rows (found "1024"); write'),
    (PLAIN | {"rolling": 0}, "rolling: input should be greater than or equal to 1"),
    (FORECAST | {"rolling": 60}, 'rolling: is no multiple of 8 windows (found "60"); write e.g. 64'),
    (FORECAST | {"promotion": {"every": 4}}, 'promotion.every: is less than 8 windows (found "4"); write e.g. 8'),
    (FORECAST | {"promotion": {"over": 56}}, 'promotion.over: is less than 64 windows (found "56"); write e.g. 64'),
    (PLAIN | {"promotion": {"errors": 0}}, "promotion.errors: input should be greater than 0"),
    (PLAIN | {"promotion": {"after": 0}}, "promotion.after: input should be greater than or equal to 1"),
    (PLAIN | {"promotion": {"evry": 256}}, 'promotion.evry: unknown key (found "256"); did you mean "every"?'),
    # What is predicted.
    (BARE, "target or label is missing; add target or label: what is to be predicted"),
    (PLAIN | {"label": "weight > 1"}, "label: has both target and label; leave one"),
    (PLAIN | {"target": "wheight"}, 'target: is not a field of orders (found "wheight"); did you mean "weight"?'),
    (PLAIN | {"target": 5}, "target: input should be a valid string"),
    (
        PLAIN | {"target": "country"},
        'target: is a text, which regression cannot predict (found "country"); name a number or whole number',
    ),
    (PLAIN | {"target": "returned"}, "target: is a boolean, which regression cannot predict"),
    (PLAIN | {"target": "email"}, 'target: is personal: its values are masked by the contract (found "email")'),
    (LABEL | {"label": "weight * 2"}, "label: is a number, which classification cannot predict"),
    (LABEL | {"label": "rating > 'x'"}, 'label: > cannot compare field "rating"'),
    (LABEL | {"label": "email = 'x'"}, "label: is personal"),
    (LABEL | {"label": "1 > 0"}, "label: it names no field of the record"),
    (LABEL | {"label": ""}, 'label: cannot go on at "the end"'),
    (LABEL | {"label": "gone > 1"}, 'label: "gone" is not a field of this contract'),
    (IMPUTED | {"target": "order_id"}, 'target: is never missing: the contract requires it (found "order_id")'),
    (IMPUTED | {"target": "placed_at"}, "target: is a timestamp, which imputation cannot predict"),
    (BARE | {"task": "imputation"}, "target is missing"),
    # Features.
    (PLAIN | {"features": []}, "features: names no field; name fields, or leave the key out"),
    (PLAIN | {"features": "total"}, "features: input should be a valid list"),
    (PLAIN | {"features": ["totl"]}, 'features[0]: is not a field of orders (found "totl"); did you mean "total"?'),
    (PLAIN | {"features": ["total", "total"]}, 'features[1]: is there twice (found "total"); leave one'),
    (PLAIN | {"features": ["weight"]}, 'features[0]: is what is to be predicted (found "weight"); leave it out'),
    (PLAIN | {"features": ["rating"]}, 'features[0]: is not known at prediction (found "rating"); leave it out; or'),
    (PLAIN | {"features": ["rating"]}, "add headrace.knownAtPrediction: true to the field in the contract of orders"),
    (PLAIN | {"features": ["email"]}, "features[0]: is personal"),
    (PLAIN | {"features": ["clock"]}, "features[0]: is a time of day, of which no feature is made"),
    (PLAIN | {"features": ["raw"]}, "features[0]: is a bytes, of which no feature is made"),
    (LABEL | {"features": ["rating"]}, 'features[0]: is read by the label "rating > 3" (found "rating")'),
    (IMPUTED | {"features": ["weight"]}, "features[0]: is what is to be predicted"),
    (ANOMALY | {"features": ["email"]}, "features[0]: is personal"),
    (
        BARE | {"dataset": "returns", "target": "cost"},
        'dataset: has no field that may be a feature of regression (found "returns")',
    ),
    # Models.
    (PLAIN | {"models": []}, "models: names no model; add - model: KIND, the champion first"),
    (PLAIN | {"models": [{"name": "a"}]}, "models[a]: model is missing; add model: KIND"),
    (PLAIN | {"models": ["line"]}, "models[0]: "),
    (
        PLAIN | {"models": [{"model": "lien"}]},
        'models[0].model: is not an installed kind of model (found "lien"); did you mean "line"?',
    ),
    (PLAIN | {"models": [{"model": "zzz"}]}, 'is not an installed kind of model (found "zzz"); installed are'),
    (PLAIN | {"models": [{"model": "gone"}]}, "models[0].model: cannot be loaded: "),
    (PLAIN | {"models": [{"model": "other"}]}, 'models[0].model: cannot be loaded: model plug-in "other"'),
    (PLAIN | {"models": [{"model": "sign"}]}, 'models[0].model: is not for regression (found "sign"); models for it: '),
    (
        PLAIN | {"models": [{"model": "line"}] * 2},
        'models[1]: has the name of another model (found "line"); give each a name',
    ),
    (
        PLAIN | {"models": [{"model": "line", "name": f"l{n}"} for n in range(9)]},
        "models: list should have at most 8 items",
    ),
    (PLAIN | {"models": [{"model": "line", "name": "A"}]}, "models[A].name: is not a safe name"),
    (PLAIN | {"models": [{"model": "line", "name": "mean"}]}, 'models[mean]: has the name of a dummy (found "mean")'),
    (
        PLAIN | {"models": [{"model": "line", "nme": "a"}]},
        'models[0].nme: unknown key (found "a"); did you mean "name"?',
    ),
    (
        PLAIN | {"models": [{"model": "line", "options": {"rat": 1}}]},
        'models[0].options.rat: unknown option of line (found "1"); did you mean "rate"?',
    ),
    (
        PLAIN | {"models": [{"model": "line", "options": {"rate": 0}}]},
        'models[0].options.rate: input should be greater than 0 (found "0"); see "line"',
    ),
    (
        PLAIN | {"models": [{"model": "line", "options": {"rate": "1"}}]},
        "models[0].options.rate: input should be a valid number",
    ),
    (PLAIN | {"models": [{"model": "tree"}]}, 'models[0]: tree needs option "leaves"; add options: {leaves: ...}'),
    (
        LABEL | {"models": [{"model": "sign", "options": {"rate": 1}}]},
        'unknown option of sign (found "1"); it knows none',
    ),
    (IMPUTED | {"target": "returned"}, 'models[0].model: does not predict a boolean (found "line"); models for it: '),
    (
        IMPUTED | {"models": [{"model": "sign"}]},
        'models[0].model: does not predict a number (found "sign"); models for it: ',
    ),
    # Labels that come later.
    (LATER | {"lateLabels": {}}, "lateLabels: dataset is missing; add dataset: where the labels come from"),
    (LATER | {"lateLabels": LATE | {"dataset": "shops"}}, "lateLabels.dataset: is a dataset without a contract"),
    (LATER | {"lateLabels": LATE | {"dataset": "broken"}}, "lateLabels.dataset: its contract cannot be followed"),
    (
        LATER | {"lateLabels": {"dataset": "returns", "wait": "P1D"}},
        "lateLabels: keys is missing; add keys: {FIELD OF orders: FIELD OF returns}",
    ),
    (LATER | {"lateLabels": LATE | {"keys": {"order": "order"}}}, "lateLabels.keys.order: is not a field of orders"),
    (
        LATER | {"lateLabels": LATE | {"keys": {"order_id": "ordr"}}},
        'lateLabels.keys.order_id: is not a field of returns (found "ordr"); did you mean "order"?',
    ),
    (
        LATER | {"lateLabels": LATE | {"keys": {"country": "order"}}},
        "lateLabels.keys.country: joins a text with a whole number",
    ),
    (LATER | {"lateLabels": LATE | {"keys": {"email": "land"}}}, "lateLabels.keys.email: is personal"),
    (
        LATER | {"lateLabels": {"dataset": "returns", "keys": {"order_id": "order"}}},
        "lateLabels: wait is missing; write how long",
    ),
    (
        LATER | {"lateLabels": LATE | {"wait": "2d"}},
        'lateLabels.wait: is no length of time to wait (found "2d"); write how long',
    ),
    (LATER | {"lateLabels": LATE | {"wait": "PT0S"}}, "lateLabels.wait: is no length of time"),
    (LATER | {"lateLabels": LATE | {"wait": "P900D"}}, "lateLabels.wait: is no length of time"),
    (LATER | {"lateLabels": LATE | {"most": 0}}, "lateLabels.most: input should be greater than or equal to 1"),
    (LATER | {"target": "weight"}, 'target: is not a field of returns (found "weight")'),
    (LATER | {"target": "buyer"}, "target: is personal"),
    (
        LATER
        | {
            "lateLabels": LATE | {"dataset": "orders", "keys": {"order_id": "order_id"}},
            "target": "total",
            "features": ["total"],
        },
        "features[0]: is what is to be predicted",
    ),
    # Series.
    (
        BARE | {"task": "forecast", "models": [{"model": "odd"}]},
        "series is missing; write series: {figure: rows or rejected or score}",
    ),
    (FORECAST | {"series": {}}, "series: figure is missing"),
    (
        FORECAST | {"series": {"figure": "mean"}},
        'series.figure: is not a figure (found "mean"); write a figure of a window: rows, rejected, score',
    ),
    (
        FORECAST | {"series": {"figure": "rows", "field": "total"}},
        'series.figure: is not a figure (found "rows"); write a figure of a field: mean',
    ),
    (
        FORECAST | {"series": {"figure": "mean", "field": "country"}},
        'series.field: is a text without mean (found "country")',
    ),
    (FORECAST | {"series": {"figure": "mean", "field": "email"}}, "series.field: is personal"),
    (FORECAST | {"series": {"figure": "mean", "field": "totals"}}, "series.field: is not a field of orders"),
    (
        FORECAST | {"dataset": "returns"},
        'dataset: has no windows of event time (found "returns"); name the field of event time',
    ),
    (FORECAST | {"horizon": 0}, "horizon: input should be greater than or equal to 1"),
    (FORECAST | {"season": 0}, "season: input should be greater than or equal to 1"),
    (ANOMALY | {"threshold": 0.5}, "threshold: input should be less than 0.5"),
    (ANOMALY | {"threshold": float("nan")}, "threshold: "),
]


@pytest.mark.parametrize(("document", "told"), WRONG, ids=[told for _, told in WRONG])
def test_learner_is_refused_with_the_place_and_the_next_action(document: dict[str, Any], told: str) -> None:
    found = problems(document)
    assert all(line.startswith("line ") for line in found)
    assert [line for line in found if told in line], found
    assert len(found) == 1, "one fault is told once"


def test_a_model_is_called_as_its_kind_where_that_is_a_name() -> None:
    assert learner(PLAIN).models == (ModelSpec("line", "line"),)
    (told, _) = problems(PLAIN | {"models": [{"model": "Line-1"}]})
    assert 'models[0]: needs a name: its kind is not a safe one (found "Line-1"); add name: ' in told


FOREIGN = [
    (ANOMALY, "target", "weight"),
    (ANOMALY, "label", "weight > 1"),
    (ANOMALY, "lateLabels", LATE),
    (ANOMALY, "promotion", {}),
    (IMPUTED, "lateLabels", LATE),
    (IMPUTED, "label", "weight > 1"),
    (FORECAST, "features", ["total"]),
    (FORECAST, "explain", 1),
    (PLAIN, "series", {"figure": "rows"}),
    (PLAIN, "horizon", 2),
    (PLAIN, "season", 2),
    (PLAIN, "threshold", 0.1),
]


@pytest.mark.parametrize(("document", "key", "value"), FOREIGN, ids=[f"{one['task']}-{key}" for one, key, _ in FOREIGN])
def test_a_key_that_means_nothing_for_the_task_is_refused(document: dict[str, Any], key: str, value: Any) -> None:
    (found, *_) = problems(document | {key: value})
    assert f": {key}: means nothing for {document['task']}; leave it out; it is for " in found


def test_all_problems_are_told_at_once_each_with_its_line() -> None:
    text = """\
name: Weights
dataset: orders
task: regression
target: weight
features: [weight, 5x, rating]
models:
  - model: line
    options: {rate: 0}
  - {model: sgin, nme: x}
rolling: 1000
budget: {rowsPerSecond: many}
threshold: 0.1
"""
    found = sorted(problems(text), key=lambda line: int(line.split(":")[0].split()[1]))
    places = [line.split(": ")[0:2] for line in found]
    assert places == [
        ["line 1", "name"],
        ["line 5", "features[0]"],
        ["line 5", "features[1]"],
        ["line 5", "features[2]"],
        ["line 8", "models[0].options.rate"],
        ["line 9", "models[1].nme"],
        ["line 9", "models[1].model"],
        ["line 10", "rolling"],
        ["line 11", "budget.rowsPerSecond"],
        ["line 12", "threshold"],
    ]


def test_nothing_at_all_is_told_by_what_is_missing() -> None:
    assert [line.split(";")[1].strip() for line in problems("{}")] == [
        "add name: ...",
        "add dataset: ...",
        "add task: ...",
        "add models: ...",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- name: x", "it is not a learner"),
        ("", "it is not a learner"),
        ("name: [", "not YAML"),
        ("name: a\nname: b", 'key "name" is there twice'),
        ("1: x", "keys should be strings"),
    ],
)
def test_text_that_is_no_learner_is_refused(text: str, told: str) -> None:
    assert any(told in line for line in problems(text))


def test_refusal_names_the_file_and_the_next_action() -> None:
    with pytest.raises(LearnerInvalid) as caught:
        parse_learner("name: X", contracts, "a b.yaml", "/home/a b.yaml")
    assert str(caught.value).startswith("learner a b.yaml: line 1: ")
    assert caught.value.hint == "correct it, then: headrace learn lint '/home/a b.yaml'"
    assert caught.value.code == "learner_invalid"
