"""K-means, one record at a time."""

from pydantic import Field
from river import cluster

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind
from headrace.stream_processors.models.dense import DenseOptions, dense_encoder
from headrace.stream_processors.models.river_model import ClusterModel


class KMeansOptions(DenseOptions):
    """Options of `kmeans`."""

    clusters: int = Field(default=5, ge=2, le=100, description="How many clusters.")
    halflife: float = Field(default=0.1, gt=0, le=1, description="How far a centre moves to a record that is its own.")
    spread: float = Field(default=1.0, gt=0, description="How far apart the first centres are drawn.")


class KMeans(ModelKind[KMeansOptions]):
    """Centres that move to the records which are nearest to them.

    The prediction is the number of the nearest centre. The first centres are drawn at random from the seed.
    """

    name = "kmeans"
    tasks = frozenset({Task.CLUSTERING})
    summary = "the nearest of some centres, which follow the records"
    Options = KMeansOptions

    def make(self, inputs: Inputs, options: KMeansOptions, seed: int) -> Estimator:
        """Return the first centres."""
        encoder, columns = dense_encoder(inputs, options, seed, scaling="standard", name=self.name)
        model = cluster.KMeans(n_clusters=options.clusters, halflife=options.halflife, sigma=options.spread, seed=seed)
        # All coordinates are drawn now, in the order in which river would draw them at its first record.
        model.centers = {
            number: {column: centre[column] for column in range(len(columns))}
            for number, centre in model.centers.items()
        }
        return ClusterModel(encoder, columns, model)
