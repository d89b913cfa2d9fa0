"""Kinds of models that tests install for themselves: one for each way that a learner's file can be about a model.

They predict nothing: what a learner's file may say of a kind is its name, its tasks and its options.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from headrace.errors import WrongUse
from headrace.schemas import model_catalog
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind, ModelOptions

HERE = "headrace.testing.model_kinds"


class StandIn(ModelKind[Any]):
    """A kind by its words alone."""

    summary = "stands for a model in tests of learners' files"

    def make(self, inputs: Inputs, options: Any, seed: int) -> Estimator:
        """Refuse: there is no model."""
        raise WrongUse(f"{self.name} makes no models", hint="take a kind that comes with headrace")


class LineOptions(ModelOptions):
    """Options of every sort."""

    rate: float = Field(0.01, gt=0, description="How fast it learns.")
    steps: tuple[int, ...] = Field((), description="Whole numbers.")


class Line(StandIn):
    """Predicts numbers."""

    name = "line"
    tasks = frozenset({Task.REGRESSION, Task.IMPUTATION})
    Options: ClassVar[type[ModelOptions]] = LineOptions


class Sign(StandIn):
    """Predicts classes."""

    name = "sign"
    tasks = frozenset({Task.CLASSIFICATION, Task.IMPUTATION})


class NeededOptions(ModelOptions):
    """An option that must be given."""

    leaves: int = Field(description="How many leaves.")


class Tree(StandIn):
    """Does every task, and says nothing of what is missing."""

    name = "tree"
    tasks = frozenset(Task)
    Options: ClassVar[type[ModelOptions]] = NeededOptions


class Odd(StandIn):
    """Finds what is odd, or alike, or comes next."""

    name = "odd"
    tasks = frozenset({Task.ANOMALY, Task.CLUSTERING, Task.FORECAST})


KINDS: Mapping[str, str] = {
    "line": f"{HERE}:Line",
    "sign": f"{HERE}:Sign",
    "tree": f"{HERE}:Tree",
    "odd": f"{HERE}:Odd",
    "gone": f"{HERE}:Gone",
    "other": f"{HERE}:Line",
}
"""By name; the last two cannot be loaded: one is not there, one is not of that name."""


def install_kinds(folder: Path, kinds: Mapping[str, str] = KINDS) -> None:
    """Write the dist-info that a package with these entry points would have; put `folder` on the path to have them."""
    info = folder / "model_kinds_of_tests-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: model-kinds-of-tests\nVersion: 1.0\n")
    points = "\n".join(f"{name} = {value}" for name, value in kinds.items())
    (info / "entry_points.txt").write_text(f"[{model_catalog.GROUP}]\n{points}\n")
    forget_kinds()


def forget_kinds() -> None:
    """Have the installed kinds looked for anew."""
    model_catalog.model_points.cache_clear()
    model_catalog.model_named.cache_clear()
