"""What the linear models share: options of gradient descent, and effects by weight times value."""

from typing import Any, Literal

from pydantic import Field
from river import optim

from headrace.stream_processors.models.features import FieldOptions

Optimizer = Literal["sgd", "adagrad", "adam", "rmsprop"]


class LinearOptions(FieldOptions):
    """What linear models have."""

    optimizer: Optimizer = Field(default="sgd", description="How the weights follow the error.")
    learning_rate: float = Field(default=0.01, gt=0, description="How far they follow it at each record.")
    l2: float = Field(default=0.0, ge=0, description="How strongly weights are drawn to 0.")


def optimizer_of(options: LinearOptions) -> Any:
    """Return river's optimizer for the options."""
    makers = {"sgd": optim.SGD, "adagrad": optim.AdaGrad, "adam": optim.Adam, "rmsprop": optim.RMSProp}
    return makers[options.optimizer](options.learning_rate)
