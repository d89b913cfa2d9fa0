"""An adaptive random forest: many trees on random columns and records, replaced one by one as the data drift."""

from typing import Any, Literal

from pydantic import Field
from river import forest

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind
from headrace.stream_processors.models.features import encoder_for
from headrace.stream_processors.models.hoeffding_tree import TreeOptions, number_leaves, tree_scaling
from headrace.stream_processors.models.river_model import ClassModel, NumberModel


class AdaptiveForestOptions(TreeOptions):
    """Options of `adaptive_forest`."""

    trees: int = Field(default=10, ge=1, le=100, description="How many trees.")
    grace_period: int = Field(default=50, ge=1, description="Records of a leaf between two looks for a split.")
    redraws: int = Field(default=6, ge=1, description="How often a record is learned by a tree, on average.")
    together: Literal["median", "mean"] = Field(default="mean", description="What of the trees is told (regression).")
    columns: int = Field(
        default=0, ge=0, description="Columns that a leaf looks at, drawn at random; 0: the square root of all."
    )


class AdaptiveForest(ModelKind[AdaptiveForestOptions]):
    """Trees that each see records as often as chance has it, and in each leaf some of the columns.

    A tree whose error grows (ADWIN) gets a successor in the background, which takes its place when the drift is
    certain. Its time per record is that of all its trees together.
    """

    name = "adaptive_forest"
    tasks = frozenset({Task.REGRESSION, Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "many trees on random columns, replaced one by one when the data drift"
    Options = AdaptiveForestOptions

    def make(self, inputs: Inputs, options: AdaptiveForestOptions, seed: int) -> Estimator:
        """Return a forest of trees of one leaf."""
        shared: dict[str, Any] = {
            "n_models": options.trees,
            "lambda_value": options.redraws,
            "max_features": options.columns or max(1, round(_width(inputs, options) ** 0.5)),
            "grace_period": options.grace_period,
            "max_depth": options.max_depth,
            "seed": seed,
        }
        encoder = encoder_for(inputs, options, seed, texts="target", scaling=tree_scaling(inputs))
        if inputs.of_numbers:
            number = forest.ARFRegressor(aggregation_method=options.together, **shared, **number_leaves(options))
            return NumberModel(encoder, number)
        return ClassModel(encoder, forest.ARFClassifier(**shared))


def _width(inputs: Inputs, options: AdaptiveForestOptions) -> int:
    """Return how many columns a record has: its first one may lack some, and river counts those of the first."""
    times = sum(kind in {Kind.DATE, Kind.TIMESTAMP} for kind in inputs.fields.values())
    return len(inputs.fields) - times + 2 * times * len(options.times)
