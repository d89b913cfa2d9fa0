"""Records' fields against the contract's."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.codec import polars_schema
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import (
    ABSENT,
    WINDOW,
    Check,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.tally import Tally

_COMPARED = "compared"


class SchemaMatch(Check):
    """How many fields of the decoded records, or of the registered schema, are not as the contract has them."""

    name = "schema_match"
    dimension = Dimension.CONFORMITY
    unit = Unit.VALUE
    summary = "fields that are missing, not in the contract, or of another type"

    class Model(Parameters):
        """Its parameters."""

        allow_extra: bool = Field(default=False, description="Whether fields that the contract lacks are fine.")
        allow_absent: bool = Field(default=False, description="Whether records may lack fields of the contract.")

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the records of each window by difference; a batch has one schema."""
        absent = batch[ABSENT].head(1).str.split(" ").explode().to_list() if ABSENT in batch.columns else []
        types = {name: _type(kind) for name, kind in batch.schema.items() if name not in absent}
        found = _differences(_polars_types(rule.types), types)
        windows = batch.group_by(WINDOW).len().drop_nulls().iter_rows()
        return {start: {"fields": Tally(dict.fromkeys((_COMPARED, *found), rows))} for start, rows in windows}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} fields may differ between the records, the registered schema and the contract"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number of differing fields."""
        cell = view.cells.get("fields")
        if not isinstance(cell, Tally) or not rule.types:
            return not_checked("no record's fields were compared" if rule.types else "no contract's types", view.rows)
        found = {name: rows for name, rows in cell.counts.items() if name != _COMPARED}
        registered = view.facts.get(facts.REGISTERED_FIELDS)
        if registered is not None:
            wanted = {name: kind.value for name, kind in rule.types.items()}
            found |= {f"registered: {text}": view.rows for text in _differences(wanted, registered)}
        chosen = given(self.Model, rule)
        allowed = ((" is new", chosen.allow_extra), (" is absent", chosen.allow_absent))
        fine = tuple(ending for ending, allows in allowed if allows)
        wrong = {text: rows for text, rows in found.items() if not text.endswith(fine)}
        fields = {text.removeprefix("registered: ").split(" ")[0] for text in wrong}
        detail = f"{len(fields)} fields differ" + (f": {'; '.join(sorted(wrong)[:5])}" if wrong else "")
        detail += "" if registered is not None else "; the registered schema was not compared"
        at_risk = max(wrong.values(), default=0)
        return against_bounds(rule, float(len(fields)), rows=view.rows, at_risk=at_risk, detail=detail)


def _type(kind: pl.DataType) -> str:
    return kind.base_type().__name__


def _polars_types(types: Mapping[str, FieldType]) -> dict[str, str]:
    fields = tuple(RecordField(name, kind, precision=38) for name, kind in types.items())
    return {name: _type(kind) for name, kind in polars_schema(RecordSchema("", fields)).items() if name in types}


def _differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return what differs, one text a field; names that begin with _ are the platform's own."""
    texts = [f"{name} is absent" for name in wanted if name not in found]
    texts += [f"{name} is new" for name in found if name not in wanted and not name.startswith("_")]
    both = [(name, kind, found[name]) for name, kind in wanted.items() if name in found]
    return [*texts, *(f"{name} is {other}, not {kind}" for name, kind, other in both if other != kind)]
