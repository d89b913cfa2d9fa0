"""SNARIMAX: the next values from the last ones, by a linear model of lags and errors that learns as it goes."""

from pydantic import Field
from river import linear_model, optim, preprocessing, time_series

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind, ModelOptions
from headrace.stream_processors.models.forecast import SeriesModel


class SnarimaxOptions(ModelOptions):
    """Options of `snarimax`; a season is the learner's."""

    lags: int = Field(default=2, ge=0, le=48, description="Last values that are looked at.")
    differences: int = Field(default=0, ge=0, le=2, description="How often the series is differenced.")
    errors: int = Field(default=1, ge=0, le=48, description="Last errors that are looked at.")
    seasonal_lags: int = Field(default=1, ge=0, le=8, description="Values one, two ... seasons ago.")
    seasonal_differences: int = Field(default=1, ge=0, le=2, description="How often a season is subtracted.")
    seasonal_errors: int = Field(default=0, ge=0, le=8, description="Errors one, two ... seasons ago.")
    learning_rate: float = Field(default=0.01, gt=0, description="How far the weights follow the error.")


class Snarimax(ModelKind[SnarimaxOptions]):
    """Seasonal autoregression with differences and moving errors, its weights learned by gradient descent.

    Without a season (`season: 1`) the seasonal options have no effect. Until the series is long enough to be
    differenced the last value is forecast.
    """

    name = "snarimax"
    tasks = frozenset({Task.FORECAST})
    summary = "the next values from last values, errors and seasons"
    Options = SnarimaxOptions

    def make(self, inputs: Inputs, options: SnarimaxOptions, seed: int) -> Estimator:
        """Return a model of an empty series."""
        seasonal = inputs.season > 1
        regressor = preprocessing.StandardScaler() | linear_model.LinearRegression(
            optimizer=optim.SGD(options.learning_rate)
        )
        model = time_series.SNARIMAX(
            p=options.lags,
            d=options.differences,
            q=options.errors,
            m=inputs.season,
            sp=options.seasonal_lags if seasonal else 0,
            sd=options.seasonal_differences if seasonal else 0,
            sq=options.seasonal_errors if seasonal else 0,
            regressor=regressor,
        )
        return SeriesModel(model, inputs.horizon, model.differencer.n_required_past_values + 1)
