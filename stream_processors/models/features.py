"""From the fields of a record to the numbers that a model learns from: a transformer of river's kind for each field.

What a field becomes is decided by its kind, and for text by an encoding. A missing value has no column, so that no
value is invented. Nothing is taken from the record but the fields that were given, and nothing of a moment but what
comes again (hour, weekday, month): a model cannot learn the calendar by heart.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from river import preprocessing

from headrace.errors import WrongUse
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import SUPERVISED
from headrace.stream_processors.models.base import Features, Inputs, Label, ModelOptions
from headrace.stream_processors.models.encoders import (
    Cyclic,
    Flags,
    Hashed,
    Numbers,
    OneHot,
    Share,
    TargetMean,
    TargetShares,
    TimePart,
)

Encoding = Literal["one_hot", "target", "hash", "share"]
Scaling = Literal["standard", "min_max", "none"]
_NUMBERS = frozenset({Kind.NUMBER, Kind.WHOLE})
_TIMES = frozenset({Kind.DATE, Kind.TIMESTAMP})
_CATEGORIES = frozenset({Kind.TEXT, Kind.WHOLE, Kind.BOOLEAN})
_SUPERVISED = ("target",)


class FieldOptions(ModelOptions):
    """What all models have that learn from fields."""

    encoding: dict[str, Encoding] = Field(
        default_factory=dict,
        description="How a text (or a whole number or boolean that stands for a category) becomes numbers, by field: "
        "`one_hot` (a column a value), `target` (what the target was where the field had that value), `hash` (one of "
        "`buckets` columns), `share` (how frequent the value is).",
    )
    scale: bool = Field(default=True, description="Numbers are scaled to mean 0 and deviation 1, as they come.")
    clip: float = Field(
        default=10.0,
        ge=0,
        description="A scaled number is cut at so many deviations; 0: nowhere. The first new value of a field that has "
        "always been the same is hundreds of them.",
    )
    times: list[TimePart] = Field(
        default=["hour", "weekday", "month"],
        description="What of a moment is learned, each as a point on a circle; a date has no hour.",
    )
    most_values: int = Field(
        default=256, ge=1, description="Different values of a field that are told apart; later ones share columns."
    )
    buckets: int = Field(default=64, ge=2, description="Columns of a hashed field.")
    smoothing: float = Field(
        default=10.0, gt=0, description="Records of a value at which `target` trusts them as much as all others."
    )


class FieldEncoder:
    """The transformers of all fields as one, used as a union of river's is, at a fraction of its cost per record.

    `learn_one` before `transform_one`, and `learn_target` after it, is the order of river's pipelines: what depends on
    the target must not know the target of the record that it encodes.
    """

    def __init__(self, parts: list[Any], targets: list[Any], target_scaler: Any = None) -> None:
        self.parts = parts
        self.targets = targets
        self.target_scaler = target_scaler

    def learn_one(self, x: Features) -> None:
        """Learn what needs no target: means, deviations, values."""
        for part in self.parts:
            part.learn_one(x)
        if self.target_scaler is not None:
            self.target_scaler.learn_one(self._by_target(x))

    def learn_transform_one(self, x: Features) -> dict[str, float]:
        """Learn what needs no target and return the columns: `learn_one`, then `transform_one`, in one walk."""
        found: dict[str, float] = {}
        for part in self.parts:
            if type(part) is Numbers:
                found.update(part.learn_transform_one(x))
            else:
                part.learn_one(x)
                found.update(part.transform_one(x))
        if self.targets:
            columns = self._by_target(x)
            if self.target_scaler is not None:
                self.target_scaler.learn_one(columns)
                columns = self.target_scaler.transform_one(columns)
            found.update(columns)
        return found

    def learn_target(self, x: Features, y: Label) -> None:
        """Learn what the target was for the values of the record."""
        for part in self.targets:
            part.learn_one(x, y)

    def transform_one(self, x: Features) -> dict[str, float]:
        """Return the columns of a record; `field_of` tells the field of each."""
        if len(self.parts) == 1 and not self.targets:
            alone: dict[str, float] = self.parts[0].transform_one(x)
            return alone
        found: dict[str, float] = {}
        for part in self.parts:
            found.update(part.transform_one(x))
        if self.targets:
            columns = self._by_target(x)
            found.update(columns if self.target_scaler is None else self.target_scaler.transform_one(columns))
        return found

    def _by_target(self, x: Features) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in self.targets:
            found.update(part.transform_one(x))
        return found


def field_of(column: str) -> str:
    """Return the field that a column is made from.

    >>> field_of("carrier=UA"), field_of("distance")
    ('carrier', 'distance')
    """
    return column.partition("=")[0]


def encoder_for(
    inputs: Inputs, options: FieldOptions, seed: int, *, texts: Encoding, scaling: Scaling = "standard"
) -> FieldEncoder:
    """Return the encoder for the fields that a model is given; `texts` is the encoding where the options name none.

    Raises WrongUse for a field that no model can learn from, and for an encoding that does not fit.
    """
    encodings = _encodings(inputs, options, texts)
    fields = {name: kind for name, kind in inputs.fields.items() if name not in encodings}
    numbers = tuple(name for name, kind in fields.items() if kind in _NUMBERS)
    flags = tuple(name for name, kind in fields.items() if kind is Kind.BOOLEAN)
    most = options.clip if scaling == "standard" else 0.0
    scaler = _scaler(scaling if options.scale else "none")
    parts: list[Any] = [Numbers(numbers, scaler, most)] if numbers else []
    parts += [Flags(flags)] if flags else []
    parts += [_part(name, how, options, seed) for name, how in encodings.items() if how not in _SUPERVISED]
    parts += [
        Cyclic(name, tuple(part for part in options.times if part != "hour" or kind is Kind.TIMESTAMP))
        for name, kind in fields.items()
        if kind in _TIMES
    ]
    targets: list[Any] = [
        TargetMean(name, options.most_values, options.smoothing)
        if inputs.of_numbers
        else TargetShares(name, options.most_values, options.smoothing)
        for name, how in encodings.items()
        if how in _SUPERVISED
    ]
    scaled = bool(targets) and options.scale and scaling == "standard"
    return FieldEncoder(parts, targets, preprocessing.StandardScaler() if scaled else None)


def _encodings(inputs: Inputs, options: FieldOptions, texts: Encoding) -> Mapping[str, Encoding]:
    """Return how each field that is a category is encoded."""
    if strange := sorted(set(options.encoding) - set(inputs.fields)):
        raise WrongUse(
            f'encoding names the field "{strange[0]}", which is no feature of this learner',
            hint=f"name one of {', '.join(sorted(inputs.fields)) or 'its features: it has none'}",
        )
    for name, kind in inputs.fields.items():
        if kind not in _NUMBERS | _TIMES | _CATEGORIES:
            raise WrongUse(f'field "{name}" is of kind "{kind}"', hint="no model learns from it: leave it out")
        if name in options.encoding and kind not in _CATEGORIES:
            raise WrongUse(
                f'encoding of field "{name}": it is of kind "{kind}"',
                hint="an encoding is for text, whole numbers and booleans: leave it out",
            )
    given = {name: options.encoding.get(name) for name in inputs.fields}
    found = {name: how or texts for name, how in given.items() if how or inputs.fields[name] is Kind.TEXT}
    supervised = [name for name, how in found.items() if how in _SUPERVISED]
    if supervised and inputs.task not in SUPERVISED:
        raise WrongUse(
            f'encoding of field "{supervised[0]}": target, but the task {inputs.task} has no target',
            hint="take one_hot, hash or share",
        )
    return found


def _part(name: str, how: Encoding, options: FieldOptions, seed: int) -> Any:
    if how == "share":
        return Share(name, options.most_values)
    hashed = Hashed(name, options.buckets, seed)
    return hashed if how == "hash" else OneHot(name, options.most_values, hashed)


def _scaler(scaling: Scaling) -> Any:
    if scaling == "none":
        return None
    return preprocessing.StandardScaler() if scaling == "standard" else preprocessing.MinMaxScaler()
