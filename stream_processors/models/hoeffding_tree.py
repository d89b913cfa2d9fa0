"""A Hoeffding tree: splits where enough records have shown that a split helps."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from river import linear_model, tree

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Features, Inputs, ModelKind, Prediction
from headrace.stream_processors.models.features import FieldOptions, encoder_for
from headrace.stream_processors.models.river_model import ClassModel, NumberModel


class TreeOptions(FieldOptions):
    """What trees have."""

    grace_period: int = Field(default=200, ge=1, description="Records of a leaf between two looks for a split.")
    max_depth: int = Field(default=12, ge=1, le=32, description="Greatest depth of a tree.")
    radius: float = Field(
        default=0.25,
        gt=0,
        description="Width of the steps at which numbers may be split, of scaled numbers (regression).",
    )


class HoeffdingTreeOptions(TreeOptions):
    """Options of `hoeffding_tree`."""

    adaptive: bool = Field(
        default=True, description="Branches that became worse are grown anew beside the old ones, and replaced."
    )
    delta: float = Field(default=1e-7, gt=0, lt=1, description="Chance that a split is wrong.")


class SeenClasses(dict[Any, None]):
    """The classes that a tree has seen, in that order; river keeps a set.

    A set that was read back has another order than the one that was kept, and the tree adds up its probabilities in
    that order: they would differ by the last digit after a restart.
    """

    def add(self, name: Any) -> None:
        """Take in a class."""
        self[name] = None


class _Classes(ClassModel):
    def predict(self, x: Features) -> Prediction:
        """Return the probabilities in the order of the classes' names: river's order is that of a set."""
        found = super().predict(x)
        return {name: found[name] for name in sorted(found, key=str)} if isinstance(found, Mapping) else found


class HoeffdingTree(ModelKind[HoeffdingTreeOptions]):
    """A tree that decides on a split once the Hoeffding bound says that more records would not change it.

    Numbers and classes; texts come as what the target was for them, since a branch for every value would starve the
    branches. With `adaptive` each branch watches its error (ADWIN) and is replaced when the data drift.
    """

    name = "hoeffding_tree"
    tasks = frozenset({Task.REGRESSION, Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "one tree, grown by the Hoeffding bound, that replaces branches when the data drift"
    Options = HoeffdingTreeOptions

    def make(self, inputs: Inputs, options: HoeffdingTreeOptions, seed: int) -> Estimator:
        """Return a tree of one leaf."""
        shared: dict[str, Any] = {
            "grace_period": options.grace_period,
            "max_depth": options.max_depth,
            "delta": options.delta,
        }
        if options.adaptive:
            shared["seed"] = seed
        encoder = encoder_for(inputs, options, seed, texts="target", scaling=tree_scaling(inputs))
        if inputs.of_numbers:
            number = tree.HoeffdingAdaptiveTreeRegressor if options.adaptive else tree.HoeffdingTreeRegressor
            return NumberModel(encoder, number(**shared, **number_leaves(options)))
        classes = tree.HoeffdingAdaptiveTreeClassifier if options.adaptive else tree.HoeffdingTreeClassifier
        model = classes(**shared)
        model.classes = SeenClasses()
        return _Classes(encoder, model)


def tree_scaling(inputs: Inputs) -> Any:
    """Return how trees want numbers: scaled where leaves have linear models, else as they are."""
    return "standard" if inputs.of_numbers else "none"


def number_leaves(options: TreeOptions) -> dict[str, Any]:
    """Return river's arguments of leaves that predict numbers.

    Numbers are split at quantized steps: river's default splitter keeps every value in an unbalanced tree, which an
    ascending number turns into a list as long as the stream.
    """
    return {
        "splitter": tree.splitter.QOSplitter(radius=options.radius),
        "leaf_model": linear_model.LinearRegression() if options.scale else None,
        "leaf_prediction": "adaptive" if options.scale else "mean",
    }
