"""CluStream: many small clusters that age, gathered into few now and then."""

from pydantic import Field
from river import cluster

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind
from headrace.stream_processors.models.dense import DenseOptions, dense_encoder
from headrace.stream_processors.models.river_model import ClusterModel


class CluStreamOptions(DenseOptions):
    """Options of `clustream`."""

    clusters: int = Field(default=5, ge=2, le=100, description="How many clusters.")
    small_clusters: int = Field(default=50, ge=2, le=1000, description="How many small clusters they are made of.")
    window: int = Field(default=1000, ge=1, description="Records after which a small cluster without a new one is old.")
    gather_every: int = Field(default=100, ge=1, description="Records between two gatherings.")
    halflife: float = Field(default=0.4, gt=0, le=1, description="How far a centre moves to a small cluster.")


class CluStream(ModelKind[CluStreamOptions]):
    """Small clusters with a mean, a width and an age; a record that fits none replaces an old one or merges two.

    Follows clusters that move or vanish. Every record is compared with every small cluster, and the gathering is done
    from the same random centres each time, so that numbers of clusters keep their meaning while the data do.
    """

    name = "clustream"
    tasks = frozenset({Task.CLUSTERING})
    summary = "small clusters that age, gathered into few"
    Options = CluStreamOptions

    def make(self, inputs: Inputs, options: CluStreamOptions, seed: int) -> Estimator:
        """Return a model without clusters."""
        encoder, columns = dense_encoder(inputs, options, seed, scaling="standard", name=self.name)
        model = cluster.CluStream(
            n_macro_clusters=options.clusters,
            max_micro_clusters=options.small_clusters,
            time_window=options.window,
            time_gap=options.gather_every,
            halflife=options.halflife,
            seed=seed,
        )
        return ClusterModel(encoder, columns, model)
