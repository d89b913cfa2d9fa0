"""How the schemas of a dataset's records changed, by what the registry says of their ids, which is for ever. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from headrace.schemas.record import RecordSchema
from headrace.stream_processors.checks import facts
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.steps.window_state import WindowState

COMPATIBLE: Final = "compatible"
BREAKING: Final = "breaking"
UNKNOWN: Final = "unknown"
SchemaOf = Callable[[int], RecordSchema | None]
"""Gives the record schema of a registry id, None of an id that nobody knows."""


def change_class(before: RecordSchema, after: RecordSchema) -> str:
    """Return how a schema differs from the one before it: `compatible` if it only has fields more.

    A field that is gone or has another type breaks whoever reads it, although Avro itself, with null as the default of
    every field, would let some of it pass.
    """
    new = {field.name: (field.type, field.precision, field.scale) for field in after.data_fields}
    old = {field.name: (field.type, field.precision, field.scale) for field in before.data_fields}
    return COMPATIBLE if all(new.get(name) == kind for name, kind in old.items()) else BREAKING


def schema_changes(seen: Iterable[int], known: Collection[int], schema_of: SchemaOf) -> dict[int, str]:
    """Return the class of each schema that earlier windows did not have, against the newest one before it."""
    found: dict[int, str] = {}
    before = max(known, default=None)
    for schema_id in sorted(set(seen)):
        if schema_id in known or before is None:
            before = schema_id if before is None else max(before, schema_id)
            continue
        old, new = schema_of(before), schema_of(schema_id)
        found[schema_id] = UNKNOWN if old is None or new is None else change_class(old, new)
        before = schema_id
    return found


def seen_schemas(state: WindowState, rule: str) -> list[int]:
    """Return the registry ids of a window's records, as a rule of `schema_change` kept them; raises ValueError."""
    cell = state.cells_of(rule).get("schemas")
    return [int(name) for name in cell.counts] if isinstance(cell, Tally) else []


def registered_fields(schema: RecordSchema) -> dict[str, str]:
    """Return the fields of a registered schema with their types' names, without the platform's own."""
    return {field.name: field.type.value for field in schema.data_fields}


def facts_of_schemas(
    checks: Mapping[str, str],
    state: WindowState,
    carried: Mapping[str, Mapping[str, Any]],
    registered: int | None,
    schema_of: SchemaOf,
) -> dict[str, Any]:
    """Return what rules know of schemas; `checks` are the names of the checks by rule id.

    Figures that do not merge are left out: the rule's own verdict says so.
    """
    found: dict[str, Any] = {}
    changes: dict[int, str] = {}
    for rule, check in checks.items():
        if check == "schema_change" and not state.unmerged(rule):
            known = {int(name) for name in carried.get(rule, {})}
            changes |= schema_changes(seen_schemas(state, rule), known, schema_of)
    if changes:
        found[facts.SCHEMA_CHANGES] = changes
    if "schema_match" in checks.values() and registered is not None and (schema := schema_of(registered)) is not None:
        found[facts.REGISTERED_FIELDS] = registered_fields(schema)
    return found
