"""Inference: the contract of a dataset that has none, and fields for columns that a contract does not know."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

from headrace.schemas.draft import draft_contract
from headrace.schemas.guess import Sample, guess_column
from headrace.schemas.names import safe_names
from headrace.schemas.record import FieldType, RecordField, RecordSchema

__all__ = ["Sample", "draft_contract", "match_columns", "merge_new_columns"]


def match_columns(originals: Sequence[str], fields: Sequence[RecordField]) -> Mapping[str, int]:
    """Return the position in the file of each field that has a column there.

    A column belongs to the field whose source name it has, else to the one whose name is its safe name; of columns with
    one name, the second belongs to the second such field. A column that is in no value of the result is a new one.

    >>> fields = (RecordField("id", FieldType.LONG), RecordField("day", FieldType.DATE, "Day of sale"))
    >>> match_columns(["Day of sale", "ID", "note"], fields)
    {'day': 0, 'id': 1}
    """
    found = _match([field.doc or field.name for field in fields], originals, fields, {})
    return _match([field.name for field in fields], safe_names(originals), fields, found)


def _match(
    wanted: Sequence[str], columns: Sequence[str], fields: Sequence[RecordField], found: Mapping[str, int]
) -> dict[str, int]:
    waiting: dict[str, deque[int]] = defaultdict(deque)
    taken = set(found.values())
    for position, column in enumerate(columns):
        if position not in taken:
            waiting[column].append(position)
    matched = dict(found)
    for name, field in zip(wanted, fields, strict=True):
        if field.name not in matched and waiting[name]:
            matched[field.name] = waiting[name].popleft()
    return matched


def merge_new_columns(schema: RecordSchema, sample: Sample) -> RecordSchema:
    """Return `schema` with a field more for each column of the sample that it does not know, in the file's order.

    The type is the narrowest that changes no value of the sample; a column whose missing values are spelled out ("NA")
    stays text, since only a contract can say what they mean. Fields that have no column in the file stay: their values
    are missing. The same schema and sample give the same result.
    """
    known = match_columns(sample.columns, schema.data_fields).values()
    unknown = [position for position in range(len(sample.columns)) if position not in known]
    originals = [sample.columns[position] for position in unknown]
    names = safe_names(originals, {field.name for field in schema.data_fields})
    fresh = []
    for position, original, name in zip(unknown, originals, names, strict=True):
        guess = guess_column(sample.frame.to_series(position), quoted=position in sample.quoted)
        kind = FieldType.STRING if guess.null_values else guess.type
        fresh.append(RecordField(name, kind, original if original != name else ""))
    return RecordSchema(schema.dataset, (*schema.data_fields, *fresh))
