"""The model in examples/models works as a user's package does: found by its entry point, and it keeps the laws."""

import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace.schemas import model_catalog
from headrace.schemas.model_catalog import GROUP, model_named
from headrace.stream_processors.models.base import Effect, Estimator, Features, Label, Prediction
from headrace.stream_processors.models.catalog import make_model, model_kind, model_names
from headrace.testing.model_cases import Case, cases
from headrace.testing.model_laws import hold_to_laws, learns_something, reasons_are_in_order

EXAMPLE = Path(__file__).parents[2] / "examples" / "models"
STREAMS = {case.name: case for case in cases(400)}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package as pip would have it seen: its module on the path, and a dist-info with the entry points."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "\n".join(f"{name} = {value}" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    model_catalog.model_points.cache_clear()
    model_named.cache_clear()


def made(case: Case, seed: int) -> Estimator:
    return make_model("sgd_batches", {"batch": 16}, case.inputs, seed)


@pytest.mark.parametrize("stream", ["numbers", "classes"])
def test_the_example_is_found_keeps_the_laws_and_learns(stream: str) -> None:
    assert "sgd_batches" in model_names()
    case = STREAMS[stream]
    hold_to_laws(partial(made, case), case, ("sgd_batches", *model_kind("sgd_batches").packages))
    learns_something(partial(made, case), case, make_model(case.dummy, {}, case.inputs, 1))


def test_the_reasons_of_the_example_are_by_field_and_sum_to_what_it_predicts() -> None:
    case = STREAMS["numbers"]
    model = made(case, 1)
    for x, y in case.rows:
        model.learn(x, y)
    x = case.rows[0][0]
    base, found = model.predict({}), model.predict(x)
    assert isinstance(base, float)
    assert isinstance(found, float)
    assert sum(one.effect for one in model.explain(x, 99)) == pytest.approx(found - base, abs=1e-6)


def test_the_model_of_the_guide_keeps_the_laws_and_learns() -> None:
    page = (EXAMPLE.parents[1] / "docs/guide/write-a-model.md").read_text()
    told: dict[str, Any] = {"__name__": "guide"}
    exec(page.split("```python\n")[1].split("```")[0], told)  # noqa: S102  it is what the guide tells people to write
    kind, case = told["PassiveAggressive"](), STREAMS["numbers"]

    def make(seed: int) -> Estimator:
        model: Estimator = kind.make(case.inputs, kind.Options(), seed)
        return model

    hold_to_laws(make, case)
    learns_something(make, case, make_model("mean", {}, case.inputs, 1))


class Forgetful:
    """A model that breaks the laws: it counts the questions, and its reasons are in no order."""

    def __init__(self, seed: int) -> None:
        self.asked = float(seed)

    def predict(self, x: Features) -> Prediction:
        self.asked += 1
        return self.asked

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn nothing."""

    def explain(self, x: Features, most: int) -> list[Effect]:
        return [Effect("seats", 1.0), Effect("distance", -2.0)]


def test_the_laws_find_a_model_that_changes_when_it_is_asked() -> None:
    with pytest.raises(AssertionError, match="after questions"):
        hold_to_laws(Forgetful, STREAMS["numbers"])


def test_the_laws_find_reasons_in_the_wrong_order() -> None:
    with pytest.raises(AssertionError, match="order of reasons"):
        reasons_are_in_order(Forgetful, STREAMS["numbers"])


def test_the_laws_find_a_model_that_learns_nothing() -> None:
    case = STREAMS["numbers"]
    with pytest.raises(AssertionError, match="of the dummy mean"):
        learns_something(Forgetful, case, make_model("mean", {}, case.inputs, 1))
