"""An Avro schema as objects: names resolved, shape checked, with the texts of Avro's Java library.

The libraries' own models were not enough: compatibility needs aliases with their namespace and a place for each
finding, and the stored text must come out as Confluent's registry writes it (see `avro_text`).
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
MAX_DEPTH = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({"doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"})
_FIELD_RESERVED = frozenset({"default", "doc", "name", "order", "type", "aliases"})
_ORDERS = frozenset({"ascending", "descending", "ignore"})


class SchemaInvalid(Exception):
    """A text that is no Avro schema, or one that readers would stumble over."""


class _Missing:
    """The type of MISSING."""


MISSING: Final = _Missing()


@dataclass(eq=False, slots=True)
class Node:
    """One schema. `kind` is Avro's type name; the other attributes are set where the kind has them.

    A name that refers to an earlier type gives the same object, so recursive schemas are cycles.
    """

    kind: str
    name: str = ""
    namespace: str = ""
    doc: str | None = None
    aliases: tuple[str, ...] = ()
    fields: "tuple[FieldNode, ...]" = ()
    symbols: tuple[str, ...] = ()
    default: str | None = None
    size: int = 0
    items: "Node | None" = None
    branches: "tuple[Node, ...]" = ()
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Return the name with its namespace; "" for types without a name."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


@dataclass(eq=False, slots=True)
class FieldNode:
    """One field of a record. `default` is MISSING where there is none: null is a default."""

    name: str
    schema: Node
    doc: str | None
    default: Any
    order: str
    aliases: tuple[str, ...]
    properties: dict[str, Any]


class ModelBuilder:
    """Builds the nodes of one schema document; `nodes` lists every one once, for checks that need no recursion."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._named: dict[str, Node] = {}

    def build(self, document: Any, namespace: str = "", depth: int = 0) -> Node:
        """Return the node of a parsed JSON document; raises SchemaInvalid."""
        if depth > MAX_DEPTH:
            raise SchemaInvalid(f"Types are nested more than {MAX_DEPTH} deep")
        if isinstance(document, str):
            return self._primitive(document, {}) if document in PRIMITIVES else self._find(document, namespace)
        if isinstance(document, list):
            return self._union(document, namespace, depth)
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            raise SchemaInvalid(f"No type: {_shown(document)}")
        return self._complex(document, namespace, depth)

    def _complex(self, document: dict[str, Any], namespace: str, depth: int) -> Node:
        kind = document["type"]
        if kind in PRIMITIVES:
            return self._primitive(kind, _properties(document, _RESERVED))
        if kind in NAMED:
            return self._new_named(kind, document, namespace, depth)
        if kind in {"array", "map"}:
            key = "items" if kind == "array" else "values"
            if key not in document:
                raise SchemaInvalid(f"{kind.capitalize()} has no {key} type: {_shown(document)}")
            node = self._keep(Node(kind, properties=_properties(document, _RESERVED)))
            node.items = self.build(document[key], namespace, depth + 1)
            return node
        return self._find(kind, namespace)

    def _primitive(self, kind: str, properties: dict[str, Any]) -> Node:
        return self._keep(Node(kind, properties=properties))

    def _find(self, name: str, namespace: str) -> Node:
        wanted = name if "." in name or not namespace else f"{namespace}.{name}"
        found = self._named.get(wanted) or self._named.get(name)
        if found is None:
            raise SchemaInvalid(f'Undefined name: "{wanted}"')
        return found

    def _union(self, document: list[Any], namespace: str, depth: int) -> Node:
        node = self._keep(Node("union"))
        node.branches = tuple(self.build(branch, namespace, depth + 1) for branch in document)
        seen: set[str] = set()
        for branch in node.branches:
            if branch.kind == "union":
                raise SchemaInvalid(f"Nested union: {_shown(document)}")
            label = branch.full_name or branch.kind
            if label in seen:
                raise SchemaInvalid(f"Duplicate in union:{label}")
            seen.add(label)
        return node

    def _new_named(self, kind: str, document: dict[str, Any], namespace: str, depth: int) -> Node:
        name, space = _split_name(document, namespace)
        node = Node(kind, name=name, namespace=space, doc=_text(document.get("doc")))
        node.aliases = tuple(_qualified(alias, space) for alias in _aliases(document))
        if node.full_name in self._named:
            raise SchemaInvalid(f"Can't redefine: {node.full_name}")
        self._named[node.full_name] = self._keep(node)
        node.properties = _properties(document, _RESERVED | ({"default"} if kind == "enum" else set()))
        if kind == "enum":
            node.symbols, node.default = _symbols(document)
        elif kind == "fixed":
            node.size = _size(document)
        else:
            node.fields = self._fields(document, node, depth)
        return node

    def _fields(self, document: dict[str, Any], record: Node, depth: int) -> tuple[FieldNode, ...]:
        entries = document.get("fields")
        if not isinstance(entries, list):
            raise SchemaInvalid(f"Record has no fields: {_shown(document)}")
        fields = tuple(self._field(entry, record, depth) for entry in entries)
        seen: set[str] = set()
        for found in fields:
            if found.name in seen:
                raise SchemaInvalid(f"Duplicate field {found.name} in record {record.full_name}")
            seen.add(found.name)
        return fields

    def _field(self, entry: Any, record: Node, depth: int) -> FieldNode:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise SchemaInvalid(f"No field name: {_shown(entry)}")
        name = _checked_name(entry["name"])
        if "type" not in entry:
            raise SchemaInvalid(f"No field type: {_shown(entry)}")
        order = entry.get("order", "ascending")
        if not isinstance(order, str) or order.lower() not in _ORDERS:
            raise SchemaInvalid(f"Invalid order of field {name}: {_shown(order)}")
        return FieldNode(
            name=name,
            schema=self.build(entry["type"], record.namespace, depth + 1),
            doc=_text(entry.get("doc")),
            default=entry.get("default", MISSING),
            order=order.lower(),
            aliases=tuple(_checked_name(alias) for alias in _aliases(entry)),
            properties=_properties(entry, _FIELD_RESERVED),
        )

    def _keep(self, node: Node) -> Node:
        self.nodes.append(node)
        return node


def _split_name(document: dict[str, Any], namespace: str) -> tuple[str, str]:
    name = document.get("name")
    if not isinstance(name, str):
        raise SchemaInvalid(f"No name in schema: {_shown(document)}")
    if "." in name:
        space, name = name.rsplit(".", 1)
    else:
        space = document.get("namespace", namespace)
        if not isinstance(space, str):
            raise SchemaInvalid(f"Invalid namespace: {_shown(space)}")
    for part in space.split(".") if space else ():
        _checked_name(part)
    if name in PRIMITIVES and not space:
        raise SchemaInvalid(f"Schemas may not be named after primitive types: {name}")
    return _checked_name(name), space


def _qualified(alias: str, space: str) -> str:
    for part in alias.split("."):
        _checked_name(part)
    return alias if "." in alias or not space else f"{space}.{alias}"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SchemaInvalid(f"Illegal name: {_shown(name)}: a letter or _, then letters, digits and _")
    return name


def _aliases(document: dict[str, Any]) -> list[str]:
    aliases = document.get("aliases")
    if aliases is None:
        return []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise SchemaInvalid(f"aliases not an array of names: {_shown(aliases)}")
    return list(dict.fromkeys(aliases))


def _symbols(document: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    symbols = document.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise SchemaInvalid(f"Enum has no symbols: {_shown(document)}")
    seen: set[str] = set()
    for symbol in symbols:
        if _checked_name(symbol) in seen:
            raise SchemaInvalid(f"Duplicate enum symbol: {symbol}")
        seen.add(symbol)
    default = document.get("default")
    if default is not None and default not in symbols:
        raise SchemaInvalid(f"The Enum Default: {_shown(default)} is not in the enum symbol set: {_shown(symbols)}")
    return tuple(symbols), default


def _size(document: dict[str, Any]) -> int:
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**31:
        raise SchemaInvalid(f"Invalid or no size: {_shown(document)}")
    return size


def _properties(document: dict[str, Any], reserved: frozenset[str] | set[str]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in reserved}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
