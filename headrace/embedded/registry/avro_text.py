"""The text under which a schema is stored and told: what Avro's Java library prints for it.

Confluent's registry stores that text and finds a schema by its MD5. Writing the same text keeps ids equal for texts
that differ in blanks or attribute order, and lets Confluent's registry take the topic over.
"""

import json
from typing import Any

from headrace.embedded.registry.avro_model import MISSING, PRIMITIVES, FieldNode, Node

_TYPE_NAMES = PRIMITIVES | {"record", "enum", "fixed", "array", "map", "union"}


def canonical_text(node: Node) -> str:
    """Return the schema as one line of JSON, attributes in Java's order.

    >>> canonical_text(Node("record", name="a", namespace="x.y", doc="why"))
    '{"type":"record","name":"a","namespace":"x.y","doc":"why","fields":[]}'
    """
    return json.dumps(_document(node, "", set()), ensure_ascii=False, separators=(",", ":"))


def _document(node: Node, namespace: str, known: set[str]) -> Any:
    if node.name:
        if node.full_name in known:
            return _reference(node, namespace)
        known.add(node.full_name)
    if node.kind == "union":
        return [_document(branch, namespace, known) for branch in node.branches]
    if node.kind in PRIMITIVES and not node.properties:
        return node.kind
    document: dict[str, Any] = {"type": node.kind}
    if node.name:
        document |= _names(node, namespace)
    if node.items is not None:
        document["items" if node.kind == "array" else "values"] = _document(node.items, namespace, known)
    document |= _own_attributes(node, known) | node.properties
    if node.aliases:
        document["aliases"] = [_short(alias, node.namespace) for alias in node.aliases]
    return document


def _names(node: Node, namespace: str) -> dict[str, str]:
    named = {"name": node.name}
    if node.namespace != namespace:
        named["namespace"] = node.namespace
    return named | ({"doc": node.doc} if node.doc is not None else {})


def _own_attributes(node: Node, known: set[str]) -> dict[str, Any]:
    if node.kind in {"record", "error"}:
        return {"fields": [_field(field, node.namespace, known) for field in node.fields]}
    if node.kind == "enum":
        return {"symbols": list(node.symbols)} | ({"default": node.default} if node.default is not None else {})
    return {"size": node.size} if node.kind == "fixed" else {}


def _field(field: FieldNode, namespace: str, known: set[str]) -> dict[str, Any]:
    document: dict[str, Any] = {"name": field.name, "type": _document(field.schema, namespace, known)}
    if field.doc is not None:
        document["doc"] = field.doc
    if field.default is not MISSING:
        document["default"] = field.default
    if field.order != "ascending":
        document["order"] = field.order
    if field.aliases:
        document["aliases"] = list(field.aliases)
    return document | field.properties


def _reference(node: Node, namespace: str) -> str:
    return node.name if node.namespace == namespace and node.name not in _TYPE_NAMES else node.full_name


def _short(full_name: str, namespace: str) -> str:
    space, _, name = full_name.rpartition(".")
    return name if space == namespace and name not in _TYPE_NAMES else full_name
