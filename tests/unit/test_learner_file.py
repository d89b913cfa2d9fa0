"""Learners' files: what a text gives, and that what is not understood is refused by line, value and next action."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.expression import Kind
from headrace.schemas.learner_file import lint_learner, parse_learner, spoken_learner
from headrace.schemas.learner_spec import LateLabels, LearnerSpec, ModelSpec, Promotion, Series, Task
from headrace.schemas.learner_store import shipped_learners
from headrace.testing.learner_files import (
    ANOMALY,
    BARE,
    FIELDS,
    FORECAST,
    KNOWN,
    KNOWN_FIELDS,
    LABEL,
    LATE,
    LATER,
    LATER_FIELDS,
    PLAIN,
    contracts,
    known,
    learner,
    text_of,
)
from headrace.testing.model_kinds import forget_kinds, install_kinds


@pytest.fixture(autouse=True)
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    install_kinds(tmp_path)
    yield
    monkeypatch.undo()
    forget_kinds()


def test_a_learner_of_few_words_has_every_default() -> None:
    found = learner(PLAIN)
    expected = LearnerSpec(
        "weights", "orders", Task.REGRESSION, found.version, found.text, (ModelSpec("line", "line"),)
    )
    assert found == replace(expected, features=KNOWN, kinds=found.kinds, label=found.label)
    assert (found.target, found.label_kind, found.version[:6]) == ("weight", Kind.NUMBER, "1.0.0+")
    assert list(found.kinds.items()) == list(
        zip(KNOWN, (Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP), strict=True)
    )


def test_a_learner_with_everything() -> None:
    models = [
        {"model": "line", "name": "fast", "options": {"rate": 1, "steps": [1, 2]}},
        {"model": "tree", "options": {"leaves": 9}},
    ]
    found = learner(
        LATER
        | {
            "version": "2.1",
            "description": "What a return\n  costs.",
            "features": ["total", "country"],
            "models": models,
        }
        | {"lateLabels": LATE | {"keys": {"order_id": "order", "country": "land"}, "most": 500}}
        | {"budget": {"rowsPerSecond": 0}, "rolling": 512, "explain": 0, "snapshotRows": 256, "seed": 7}
        | {"promotion": {"every": 256, "over": 2048, "errors": 2, "after": 1}}
    )
    assert found.models == (
        ModelSpec("fast", "line", {"rate": 1, "steps": [1, 2]}),
        ModelSpec("tree", "tree", {"leaves": 9}),
    )
    assert found.late == LateLabels("returns", (("order_id", "order"), ("country", "land")), 172_800, 500)
    assert (found.features, found.target, found.description) == (("total", "country"), "cost", "What a return costs.")
    assert (found.rows_per_second, found.over, found.explain, found.snapshot_rows, found.seed) == (0, 512, 0, 256, 7)
    assert found.promotion == Promotion(256, 2048, 2.0, 1)
    assert found.version.startswith("2.1+")


def test_each_task_has_its_own_keys() -> None:
    anomaly = learner(ANOMALY | {"threshold": 0.05})
    assert (anomaly.threshold, anomaly.label) == (0.05, None)
    forecast = learner(FORECAST | {"series": {"figure": "mean", "field": "total"}, "horizon": 3, "season": 24})
    assert (forecast.series, forecast.horizon, forecast.season) == (Series("mean", "total"), 3, 24)
    assert (forecast.features, forecast.kinds, forecast.label) == ((), {}, None)
    assert learner(FORECAST).series == Series("rows")


def test_anomalies_and_clusters_look_at_fields_that_are_not_known_at_prediction_too() -> None:
    for task in ("anomaly", "clustering"):
        assert learner(ANOMALY | {"task": task}).features == (*KNOWN, "weight", "returned", "rating")
    assert learner(ANOMALY | {"features": ["weight"]}).features == ("weight",)


def test_what_the_label_reads_is_no_feature() -> None:
    assert learner(LABEL | {"label": "total > 9 AND rating > 3"}).features == tuple(without("total"))
    assert learner(BARE | {"target": "total"}).features == tuple(without("total"))
    assert learner(BARE | {"label": "total - weight"}).label_kind is Kind.NUMBER
    # The total of a return is another field than that of its order.
    assert "total" in learner(LATER | {"target": "total"}).features


def without(name: str) -> list[str]:
    return [one for one in KNOWN if one != name]


@pytest.mark.parametrize("target", ["returned", "rating", "country"])
def test_classes_are_text_booleans_and_whole_numbers(target: str) -> None:
    found = learner(BARE | {"task": "classification", "target": target, "models": [{"model": "sign"}]})
    assert found.target == target
    assert target not in found.features


def test_version_names_the_text_and_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = learner(PLAIN).version
    assert before == learner(PLAIN).version
    assert before != parse_learner(text_of(PLAIN) + "# a remark\n", contracts).version
    whole = LATER_FIELDS | {"weight": {"logicalType": "integer"}}
    monkeypatch.setitem(FIELDS, "orders", known(KNOWN_FIELDS) | whole)
    assert learner(PLAIN).version != before
    more = {"color": {"logicalType": "string"}}
    monkeypatch.setitem(FIELDS, "orders", known(KNOWN_FIELDS | more) | LATER_FIELDS)
    assert learner(PLAIN).version != before


def test_a_learner_is_told_in_plain_words() -> None:
    lines = spoken_learner(learner(LATER | {"models": [{"model": "line"}, {"model": "line", "name": "slow"}]}))
    assert lines[1:] == (
        "predicts cost",
        "labels come later, in returns, by order_id = order",
        f"from {', '.join(KNOWN)}",
        "champion at the start: line; challengers: slow (line)",
    )
    assert spoken_learner(learner(ANOMALY))[1] == "looks for anomaly"
    assert spoken_learner(learner(FORECAST))[1] == "forecasts rows, 1 ahead, with a season of 1"


def test_spans_of_a_forecast_are_windows_in_eights_and_by_default_such_as_a_season_of_days_fills() -> None:
    plain = learner(FORECAST)
    assert (plain.tick, plain.over, plain.promotion) == (8, 64, Promotion(every=8, over=64))
    found = learner(FORECAST | {"rolling": 24, "promotion": {"every": 16, "over": 72, "errors": 2, "after": 1}})
    assert (found.over, found.promotion) == (24, Promotion(16, 72, 2, 1))


NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,62}\Z").filter(lambda name: name not in {"mean", "prior", "majority"})
WHOLE = st.integers(1, 100)
DOCUMENTS = st.fixed_dictionaries(
    {"name": NAMES, "features": st.lists(st.sampled_from(KNOWN), min_size=1, unique=True)},
    optional={
        "rolling": st.integers(1, 300).map(lambda ticks: ticks * 256),
        "seed": st.integers(0, 2**32 - 1),
        "explain": st.integers(0, 16),
        "snapshotRows": st.integers(256, 10**8),
        "budget": st.fixed_dictionaries({}, optional={"rowsPerSecond": st.integers(0, 10**7)}),
        "promotion": st.fixed_dictionaries(
            {},
            optional={
                "every": WHOLE.map(lambda ticks: ticks * 256),
                "over": st.integers(8, 100).map(lambda ticks: ticks * 256),
                "errors": st.floats(0.01, 100),
                "after": st.integers(1, 1000),
            },
        ),
        "models": st.lists(
            st.fixed_dictionaries({"model": st.just("line"), "name": NAMES}),
            min_size=1,
            max_size=8,
            unique_by=lambda one: str(one["name"]),
        ),
    },
)


@given(DOCUMENTS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_what_is_read(document: dict[str, Any]) -> None:
    found, default = learner(PLAIN | document), LearnerSpec("n", "d", Task.REGRESSION, "v", "t", ())
    promotion, said = found.promotion, document.get("promotion", {})
    models = document.get("models", PLAIN["models"])
    assert (found.name, found.features) == (document["name"], tuple(document["features"]))
    assert found.over == document.get("rolling", default.over)
    assert found.seed == document.get("seed", default.seed)
    assert found.explain == document.get("explain", default.explain)
    assert found.snapshot_rows == document.get("snapshotRows", default.snapshot_rows)
    assert found.rows_per_second == document.get("budget", {}).get("rowsPerSecond", default.rows_per_second)
    assert {key: getattr(promotion, key) for key in said} == said
    assert {key: getattr(Promotion(), key) for key in ("every", "over", "errors", "after") if key not in said} == {
        key: getattr(promotion, key) for key in ("every", "over", "errors", "after") if key not in said
    }
    assert [(one.name, one.kind) for one in found.models] == [(one.get("name", "line"), "line") for one in models]


@given(
    st.dictionaries(
        st.sampled_from(sorted({*LATER, "features", "series", "budget", "promotion", "threshold", "x"})),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["model", "name", "keys", "wait", "figure", "x"]), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_is_read_or_refused_in_words(changes: dict[str, Any]) -> None:
    found = lint_learner(text_of(LATER | changes), contracts)
    assert (found.spec is None) == bool(found.problems)


def shipped(dataset: str) -> Contract | None:
    text = shipped_contract(dataset)
    return parse_contract(text, dataset) if text else None


def test_learners_that_come_with_headrace_can_be_followed(tmp_path: Path) -> None:
    """With the kinds that this tree's pyproject names, whether or not the tree is what is installed."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install_kinds(tmp_path, project["entry-points"]["headrace.models"])
    texts = shipped_learners()
    found = {name: lint_learner(text, shipped) for name, (_, text) in texts.items()}
    assert {name: one.problems for name, one in found.items() if one.problems} == {}
    specs = [one.spec for one in found.values() if one.spec]
    assert {spec.task for spec in specs} == set(Task) - {Task.CLUSTERING}
    assert [spec.name for spec in specs] == list(texts)
    assert all(spec.dataset == texts[spec.name][0] and spec.description for spec in specs)
    features = {name for spec in specs if spec.dataset == "flights" for name in spec.features}
    assert "dep_delay" in features
    assert not features & {"arr_time", "arr_delay", "air_time"}
