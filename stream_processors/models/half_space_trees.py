"""Half-space trees: records that fall where few others fell are strange."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from river import anomaly

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Features, Inputs, Label, ModelKind, Prediction
from headrace.stream_processors.models.dense import DenseOptions, dense_encoder
from headrace.stream_processors.models.river_model import AnomalyModel


class HalfSpaceTreesOptions(DenseOptions):
    """Options of `half_space_trees`."""

    trees: int = Field(default=10, ge=1, le=100, description="How many trees.")
    height: int = Field(default=8, ge=1, le=12, description="How often each halves the space.")
    window: int = Field(default=250, ge=10, description="Records after which what was seen becomes what is expected.")


class HalfSpaceTrees(ModelKind[HalfSpaceTreesOptions]):
    """Trees that halve the space of scaled values at random, and count how many of the last window fell where.

    The score is between 0 and 1, and high where few fell. It is 0 until the first window is full.
    """

    name = "half_space_trees"
    tasks = frozenset({Task.ANOMALY})
    summary = "how few of the last records fell into the same part of the space"
    Options = HalfSpaceTreesOptions

    def make(self, inputs: Inputs, options: HalfSpaceTreesOptions, seed: int) -> Estimator:
        """Return grown trees that have counted nothing."""
        encoder, columns = dense_encoder(inputs, options, seed, scaling="min_max", name=self.name)
        circles = {column: (-1.0, 1.0) for column in columns if column.endswith(("_sin", "_cos"))}
        model = _Trees(
            n_trees=options.trees, height=options.height, window_size=options.window, limits=circles, seed=seed
        )
        _grow(model, columns)
        return _Strangeness(encoder, model)


class _Trees(anomaly.HalfSpaceTrees):
    """River's trees; a record that is judged and learned at once walks each of them once instead of twice."""

    def score_and_learn_one(self, x: Mapping[str, float]) -> float:
        """Return the score of a record and learn it, as `score_one` and then `learn_one` do."""
        if self._first_window or self.counter + 1 == self.window_size:
            found: float = self.score_one(x)
            self.learn_one(x)
            return found
        limit, height, score = self.size_limit, self.height, 0.0
        for tree in self.trees:
            score += _walk(tree, x, height, limit)
        self.counter += 1
        found = 1 - score / self._max_score
        return found


class _Strangeness(AnomalyModel):
    """Trees with their encoder."""

    def predict_then_learn(self, x: Features, y: Label | None) -> Prediction:
        """Return the score and learn the record: both take one way if the record did not change the scale."""
        model, encoded = self.model, self.encoder.transform_one(x)
        scaled = self.encoder.learn_transform_one(x)
        if scaled == encoded:
            found: float = model.score_and_learn_one(encoded)
            return found
        found = model.score_one(encoded)
        model.learn_one(scaled)
        return found


def _walk(node: Any, x: Mapping[str, float], height: int, limit: float) -> float:
    """Return what a tree adds to the score of a record, and count the record in each node on its way.

    The score ends at the first node where hardly any record of the last window fell; the record goes on to a leaf.
    """
    score, scale, counted = 0.0, 1, True
    for _ in range(height):
        node.l_mass += 1
        if counted:
            mass = node.r_mass
            score += mass * scale
            counted = mass >= limit
            scale <<= 1
        left, right = node.children
        feature = node.feature
        if feature in x:
            node = left if x[feature] < node.threshold else right
        else:
            node = right if left.l_mass < right.l_mass else left
    node.l_mass += 1
    return score + node.r_mass * scale if counted else score


def _grow(model: Any, columns: tuple[str, ...]) -> None:
    """Build the trees on all columns: river builds them on those of the first record, which may lack some."""
    model.learn_one(dict.fromkeys(columns, 0.5))
    model.counter = 0
    for one in model.trees:
        for node in one.iter_dfs():
            node.l_mass = 0
