"""Whether a text may be registered: our own checks first, then both Avro parsers of Python.

Either library alone lets through what the other refuses, and both let through defaults that fit only a later branch of
a union, and field names that no language can use (docs/decisions/0004). Readers meet such schemas long after.
"""

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import avro.errors
import avro.schema
import fastavro.schema

from headrace.embedded.registry.avro_model import MISSING, FieldNode, ModelBuilder, Node, SchemaInvalid
from headrace.embedded.registry.avro_text import canonical_text

MAX_JSON_DEPTH = 256
_INT, _LONG = 2**31, 2**63
_LOGICAL_BASES: dict[str, tuple[str, ...]] = {
    "decimal": ("bytes", "fixed"),
    "big-decimal": ("bytes",),
    "uuid": ("string", "fixed"),
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "timestamp-nanos": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "local-timestamp-nanos": ("long",),
    "duration": ("fixed",),
}
_LOGICAL_SIZES = {"uuid": 16, "duration": 12}


@dataclass(frozen=True)
class AvroSchema:
    """A schema that may be registered: its canonical text and its model."""

    text: str
    root: Node


def parse_new(text: str) -> AvroSchema:
    """Return a schema that somebody wants to register; raises SchemaInvalid with the reason. Never blocks.

    >>> parse_new('{"type": "string"}').text
    '"string"'
    """
    document = _json(text)
    try:
        builder = ModelBuilder()
        root = builder.build(document)
        for node in builder.nodes:
            _check_logical_type(node)
            for field in node.fields:
                _check_default(node, field)
        _ask_both_parsers(document)
        return AvroSchema(canonical_text(root), root)
    except RecursionError as error:
        raise SchemaInvalid("Types or defaults are nested too deep") from error


@functools.lru_cache(maxsize=512)
def parse_stored(text: str) -> AvroSchema:
    """Return a schema that is registered already: its shape is read, its values are not judged again."""
    try:
        root = ModelBuilder().build(_json(text))
        return AvroSchema(canonical_text(root), root)
    except RecursionError as error:
        raise SchemaInvalid("Types are nested too deep") from error


def _json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise SchemaInvalid(f"{constant} is not JSON")

    try:
        text.encode()
        document = json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise SchemaInvalid("JSON is nested too deep") from error
    except ValueError as error:
        raise SchemaInvalid(f"not JSON: {error}") from error
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise SchemaInvalid(f"JSON is nested more than {MAX_JSON_DEPTH} deep")
        level = [child for parent in level for child in _children(parent)]
    return document


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_logical_type(node: Node) -> None:
    name = node.properties.get("logicalType")
    bases = _LOGICAL_BASES.get(name) if isinstance(name, str) else None
    if bases is None:
        return
    if node.kind not in bases:
        raise SchemaInvalid(f'Logical type "{name}" needs {" or ".join(bases)}, not {node.kind}')
    size = _LOGICAL_SIZES.get(str(name))
    if node.kind == "fixed" and size is not None and node.size != size:
        raise SchemaInvalid(f'Logical type "{name}" needs a fixed of {size} bytes, not {node.size}')
    if name == "decimal":
        _check_decimal(node)


def _check_decimal(node: Node) -> None:
    precision: Any = node.properties.get("precision")
    scale: Any = node.properties.get("scale", 0)
    if not _is_integer(precision) or precision < 1:
        raise SchemaInvalid(f"Invalid decimal precision: {precision} (must be positive)")
    if not _is_integer(scale) or scale < 0:
        raise SchemaInvalid(f"Invalid decimal scale: {scale} (must be positive)")
    if scale > precision:
        raise SchemaInvalid(f"Invalid decimal scale: {scale} (greater than precision: {precision})")
    if node.kind == "fixed" and precision > (room := _decimal_digits(node.size)):
        raise SchemaInvalid(f"fixed({node.size}) cannot store {precision} digits (max {room})")


def _decimal_digits(size: int) -> int:
    """Return how many decimal digits a two's complement number of `size` bytes surely holds."""
    return math.floor(math.log10(2) * (8 * size - 1)) if size else 0


def _check_default(record: Node, field: FieldNode) -> None:
    if field.default is MISSING:
        return
    schema = field.schema
    if schema.kind == "union":
        # Also readers that take any branch exist; those that take the first only are the older, more common ones.
        fits = bool(schema.branches) and _fits(schema.branches[0], field.default)
    else:
        fits = _fits(schema, field.default)
    if not fits:
        shown = json.dumps(field.default, ensure_ascii=False)[:200]
        kind = f"{schema.branches[0].kind}, the first of the union" if schema.branches else schema.kind
        raise SchemaInvalid(f"Invalid default for field {field.name} of {record.full_name}: {shown} not a {kind}")


def _fits(schema: Node, value: Any) -> bool:
    if schema.kind in _FITS:
        return _FITS[schema.kind](value)
    if schema.kind == "fixed":
        return _is_bytes(value) and len(value) == schema.size
    if schema.kind == "enum":
        return value in schema.symbols
    if schema.kind == "union":
        return any(_fits(branch, value) for branch in schema.branches)
    return _fits_inside(schema, value)


def _fits_inside(schema: Node, value: Any) -> bool:
    if schema.kind == "array":
        return isinstance(value, list) and all(_fits(_items(schema), item) for item in value)
    if not isinstance(value, dict):
        return False
    if schema.kind == "map":
        return all(_fits(_items(schema), item) for item in value.values())
    given = ((field, value.get(field.name, field.default)) for field in schema.fields)
    return all(found is not MISSING and _fits(field.schema, found) for field, found in given)


def _items(schema: Node) -> Node:
    if schema.items is None:
        raise SchemaInvalid(f"{schema.kind} without items")
    return schema.items


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_FITS: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: _is_integer(value) and -_INT <= value < _INT,
    "long": lambda value: _is_integer(value) and -_LONG <= value < _LONG,
    "float": _is_number,
    "double": _is_number,
    "string": lambda value: isinstance(value, str),
    "bytes": _is_bytes,
}


def _ask_both_parsers(document: Any) -> None:
    # The parsers are a sandbox here: whatever they raise on a stranger's text, it is a verdict on the text.
    try:
        # avro warns about logical types it does not know, and ours are judged already.
        avro.schema.parse(json.dumps(_without_logical_types(document)))
    except RecursionError:
        raise
    except Exception as error:
        raise SchemaInvalid(_verdict("avro", error)) from error
    try:
        fastavro.schema.parse_schema(document, named_schemas={}, _force=True)
    except RecursionError:
        raise
    except Exception as error:
        raise SchemaInvalid(_verdict("fastavro", error)) from error


def _verdict(parser: str, error: Exception) -> str:
    return f"{parser}: {str(error) or type(error).__name__}"[:1_000]


def _without_logical_types(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_logical_types(item) for item in document]
    if not isinstance(document, dict):
        return document
    kept = {key: value for key, value in document.items() if key not in {"logicalType", "default"}}
    inner = {key: _without_logical_types(kept[key]) for key in ("type", "items", "values", "fields") if key in kept}
    if document.get("type") == "enum" and "default" in document:
        inner["default"] = document["default"]
    return kept | inner
