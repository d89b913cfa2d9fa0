"""Whether one schema can read what another wrote, with Confluent's messages.

The rules and their order are those of Avro's Java library (SchemaCompatibility), on which Confluent's registry stands;
the agreement with Python's avro.compatibility is a property test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from headrace.embedded.registry.avro_check import AvroSchema
from headrace.embedded.registry.avro_model import MISSING, FieldNode, Node, SchemaInvalid

MAX_COMPARISONS = 500_000
_SHOWN_SCHEMA = 10 * 1024
# What a reader of the key's type can read besides its own.
_PROMOTIONS = {
    "long": frozenset({"int"}),
    "float": frozenset({"int", "long"}),
    "double": frozenset({"int", "long", "float"}),
    "bytes": frozenset({"string"}),
    "string": frozenset({"bytes"}),
}
_DESCRIPTIONS = {
    "FIXED_SIZE_MISMATCH": "The size of FIXED type field at path '{path}' in the {reader} schema does not match with"
    " the {writer} schema",
    "TYPE_MISMATCH": "The type (path '{path}') of a field in the {reader} schema does not match with the {writer}"
    " schema",
    "NAME_MISMATCH": "The name of the schema has changed (path '{path}')",
    "MISSING_ENUM_SYMBOLS": "The {reader} schema is missing enum symbols '{message}' at path '{path}' in the {writer}"
    " schema",
    "MISSING_UNION_BRANCH": "The {reader} schema is missing a type inside a union field at path '{path}' in the"
    " {writer} schema",
    "READER_FIELD_MISSING_DEFAULT_VALUE": "The field '{message}' at path '{path}' in the {reader} schema has no default"
    " value and is missing in the {writer} schema",
}


class Level(StrEnum):
    """How far a new schema of a subject may depart from the earlier ones."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


@dataclass(frozen=True)
class Difference:
    """One reason why a reader cannot read a writer's data; `path` is a JSON pointer into the reader's schema."""

    kind: str
    path: str
    message: str

    def told(self, reader: str, writer: str) -> str:
        """Return the difference as Confluent's registry words it; `reader` and `writer` are "new" and "old"."""
        path = self.path
        text = _DESCRIPTIONS[self.kind].format(path=path, message=self.message, reader=reader, writer=writer)
        return f"{{errorType:'{self.kind}', description:'{text}', additionalInfo:'{self.message}'}}"


@dataclass(frozen=True)
class Earlier:
    """A registered version that a new schema is held against."""

    version: int
    schema: AvroSchema


def violations(level: Level, new: AvroSchema, earlier: Sequence[Earlier]) -> list[str]:
    """Return why `new` breaks `level` against the versions, given oldest first; [] if it does not.

    Levels that are not transitive look at the last version only. The first version that is broken ends the search, and
    its number and text close the list, as Confluent's registry has it. Raises SchemaInvalid if the two schemas are too
    large to compare.
    """
    newest_first = list(reversed(earlier))
    if level is Level.NONE:
        return []
    if not level.endswith("_TRANSITIVE"):
        newest_first = newest_first[:1]
    for version in newest_first:
        if found := _against(level, new, version):
            return [*found, f"{{validateFields: 'false', compatibility: '{level}'}}"]
    return []


def _against(level: Level, new: AvroSchema, old: Earlier) -> list[str]:
    found: list[str] = []
    if level.startswith(("FORWARD", "FULL")):
        found += [difference.told("old", "new") for difference in differences(old.schema.root, new.root)]
    backward = (
        [difference.told("new", "old") for difference in differences(new.root, old.schema.root)]
        if level.startswith(("BACKWARD", "FULL"))
        else []
    )
    # FULL tells the old schema only after messages of its backward half: so does Confluent's registry.
    if backward or (found and level.startswith("FORWARD")):
        text = old.schema.text
        shown = f"'{text}'" if len(text) <= _SHOWN_SCHEMA else f"<truncated> '{text[:_SHOWN_SCHEMA]}...'"
        backward += [f"{{oldSchemaVersion: {old.version}}}", f"{{oldSchema: {shown}}}"]
    return found + backward


def differences(reader: Node, writer: Node) -> list[Difference]:
    """Return every reason why `reader` cannot read what `writer` wrote; [] if it can."""
    try:
        return _Comparison().compare(reader, writer, ())
    except RecursionError as error:
        raise SchemaInvalid("The schemas are nested too deep to be compared") from error


class _Comparison:
    """One comparison, with a memory of pairs seen: recursive schemas are compatible unless proven otherwise."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], list[Difference]] = {}
        self._count = 0

    def compare(self, reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
        pair = (id(reader), id(writer))
        if pair not in self._known:
            self._count += 1
            if self._count > MAX_COMPARISONS:
                raise SchemaInvalid(f"The schemas need more than {MAX_COMPARISONS} comparisons of types")
            self._known[pair] = []
            self._known[pair] = self._compare(reader, writer, path)
        return self._known[pair]

    def _compare(self, reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
        if _base(reader) == _base(writer):
            return self._same_kind(reader, writer, path)
        if writer.kind == "union":
            return [
                difference
                for place, branch in enumerate(writer.branches)
                for difference in self.compare(reader, branch, (*path, str(place)))
            ]
        if reader.kind == "union":
            if any(not self.compare(branch, writer, ()) for branch in reader.branches):
                return []
            return [_missing_branch(writer, path)]
        if writer.kind in _PROMOTIONS.get(reader.kind, ()):
            return []
        message = f"reader type: {_shouted(reader)} not compatible with writer type: {_shouted(writer)}"
        return [Difference("TYPE_MISMATCH", _pointer(path), message)]

    def _same_kind(self, reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
        if reader.items is not None and writer.items is not None:
            step = "items" if reader.kind == "array" else "values"
            return self.compare(reader.items, writer.items, (*path, step))
        match _base(reader):
            case "union":
                return [
                    _missing_branch(branch, (*path, str(place)))
                    for place, branch in enumerate(writer.branches)
                    if self.compare(reader, branch, ())
                ]
            case "fixed":
                return _name_change(reader, writer, path) + _size_change(reader, writer, path)
            case "enum":
                return _name_change(reader, writer, path) + _symbols_lost(reader, writer, path)
            case "record":
                return _name_change(reader, writer, path) + self._fields(reader, writer, path)
            case _:
                return []

    def _fields(self, reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
        written = {field.name: field for field in writer.fields}
        found: list[Difference] = []
        for place, field in enumerate(reader.fields):
            here = (*path, "fields", str(place))
            source = _source(field, written)
            if source is not None:
                found += self.compare(field.schema, source.schema, (*here, "type"))
            elif field.default is MISSING and field.schema.kind == "enum" and field.schema.default is not None:
                found += self.compare(field.schema, writer, (*here, "type"))
            elif field.default is MISSING:
                found.append(Difference("READER_FIELD_MISSING_DEFAULT_VALUE", _pointer(here), field.name))
        return found


def _source(field: FieldNode, written: dict[str, FieldNode]) -> FieldNode | None:
    names = [name for name in dict.fromkeys((field.name, *field.aliases)) if name in written]
    if len(names) > 1:
        raise SchemaInvalid(f"Reader record field {field.name} matches multiple fields in writer record: {names}")
    return written[names[0]] if names else None


def _name_change(reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
    if reader.name == writer.name or writer.full_name in reader.aliases:
        return []
    return [Difference("NAME_MISMATCH", _pointer((*path, "name")), f"expected: {writer.full_name}")]


def _size_change(reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
    if reader.size == writer.size:
        return []
    message = f"expected: {writer.size}, found: {reader.size}"
    return [Difference("FIXED_SIZE_MISMATCH", _pointer((*path, "size")), message)]


def _symbols_lost(reader: Node, writer: Node, path: tuple[str, ...]) -> list[Difference]:
    lost = sorted(set(writer.symbols) - set(reader.symbols))
    if not lost or reader.default is not None:
        return []
    return [Difference("MISSING_ENUM_SYMBOLS", _pointer((*path, "symbols")), f"[{', '.join(lost)}]")]


def _missing_branch(writer: Node, path: tuple[str, ...]) -> Difference:
    return Difference("MISSING_UNION_BRANCH", _pointer(path), f"reader union lacking writer type: {_shouted(writer)}")


def _base(node: Node) -> str:
    return "record" if node.kind == "error" else node.kind


def _shouted(node: Node) -> str:
    return _base(node).upper()


def _pointer(path: tuple[str, ...]) -> str:
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
