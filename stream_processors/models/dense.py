"""Columns that are known before the first record, for models that must have them all: trees of halves, clusters."""

from pydantic import Field

from headrace.schemas.expression import Kind
from headrace.stream_processors.models.base import Inputs, ModelOptions
from headrace.stream_processors.models.encoders import TimePart
from headrace.stream_processors.models.features import Encoding, FieldEncoder, FieldOptions, Scaling, encoder_for
from headrace.stream_processors.models.river_model import need_fields

_TIMES = {Kind.DATE, Kind.TIMESTAMP}


class DenseOptions(ModelOptions):
    """What models have whose columns are fixed: a text becomes the share of its value."""

    categories: list[str] = Field(
        default=[], description="Whole-number fields that stand for categories; like texts they count by their share."
    )
    times: list[TimePart] = Field(
        default=["hour", "weekday", "month"],
        description="What of a moment is learned, each as a point on a circle; a date has no hour.",
    )
    most_values: int = Field(
        default=1024, ge=1, description="Different values of a field that are told apart; later ones count as one."
    )


def dense_encoder(
    inputs: Inputs, options: DenseOptions, seed: int, *, scaling: Scaling, name: str
) -> tuple[FieldEncoder, tuple[str, ...]]:
    """Return the encoder and the columns that it may give; raises WrongUse where there are none."""
    encoding: dict[str, Encoding] = {field: "share" for field in options.categories}
    given = FieldOptions(encoding=encoding, times=options.times, most_values=options.most_values)
    encoder = encoder_for(inputs, given, seed, texts="share", scaling=scaling)
    columns: list[str] = []
    for field, kind in inputs.fields.items():
        if kind is Kind.TEXT or field in options.categories:
            columns.append(f"{field}=share")
        elif kind in _TIMES:
            parts = [part for part in options.times if part != "hour" or kind is Kind.TIMESTAMP]
            columns += [f"{field}={part}_{axis}" for part in parts for axis in ("sin", "cos")]
        else:
            columns.append(field)
    need_fields(columns, name, (Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN, Kind.TIMESTAMP))
    return encoder, tuple(columns)
