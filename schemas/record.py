"""What a record looks like: fields and types, as the Avro schema that the registry holds.

Record schemas are structural: every field is ["null", T] with default null, and `_file` and `_row` come last. Whether a
value may be missing is a rule of the contract, not of the schema, so a bad row can still be carried to quarantine.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace.errors import SchemaRefused

NAMESPACE = "headrace.records"


class FieldType(StrEnum):
    """The types of record fields. The first eight travel in columns; the others go one by one through fastavro."""

    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp-micros"
    BYTES = "bytes"
    ENUM = "enum"
    FIXED = "fixed"
    DECIMAL = "decimal"
    UUID = "uuid"
    TIME = "time-micros"


COLUMNAR = frozenset(list(FieldType)[:8])
_LOGICAL_BASE = {
    FieldType.DATE: "int",
    FieldType.TIMESTAMP: "long",
    FieldType.TIME: "long",
    FieldType.UUID: "string",
    FieldType.DECIMAL: "bytes",
}


@dataclass(frozen=True)
class RecordField:
    """One field; `doc` keeps the original name.

    `symbols` is for enum, `size` for fixed, `precision` and `scale` for decimal.
    """

    name: str
    type: FieldType
    doc: str = ""
    symbols: tuple[str, ...] = ()
    size: int = 0
    precision: int = 0
    scale: int = 0

    def avro(self) -> dict[str, Any]:
        """Return the field as Avro JSON: nullable, default null."""
        field: dict[str, Any] = {"name": self.name, "type": ["null", self._avro_type()], "default": None}
        return field | ({"doc": self.doc} if self.doc else {})

    def _avro_type(self) -> Any:
        if self.type is FieldType.ENUM:
            return {"type": "enum", "name": f"{self.name}_enum", "symbols": list(self.symbols)}
        if self.type is FieldType.FIXED:
            return {"type": "fixed", "name": f"{self.name}_fixed", "size": self.size}
        if self.type is FieldType.DECIMAL:
            return {"type": "bytes", "logicalType": "decimal", "precision": self.precision, "scale": self.scale}
        base = _LOGICAL_BASE.get(self.type)
        return {"type": base, "logicalType": self.type.value} if base else self.type.value


FILE_FIELD = RecordField("_file", FieldType.STRING, "First 16 hex digits of the file's SHA-256.")
ROW_FIELD = RecordField("_row", FieldType.LONG, "Ordinal of the record in the file, from 0.")


@dataclass(frozen=True)
class RecordSchema:
    """The record schema of one dataset: data fields in order, then `_file` and `_row`.

    >>> schema = RecordSchema("orders", (RecordField("id", FieldType.LONG),))
    >>> RecordSchema.from_avro(schema.text()) == schema
    True
    """

    dataset: str
    data_fields: tuple[RecordField, ...]

    @property
    def fields(self) -> tuple[RecordField, ...]:
        """Return every field, system fields last."""
        return (*self.data_fields, FILE_FIELD, ROW_FIELD)

    @property
    def columnar(self) -> bool:
        """Return True if the codec can work in columns."""
        return all(field.type in COLUMNAR for field in self.data_fields)

    def text(self) -> str:
        """Return the Avro schema as the JSON text that is registered; equal schemas have equal text."""
        fields = [field.avro() for field in self.fields]
        document = {"type": "record", "name": self.dataset, "namespace": NAMESPACE, "fields": fields}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_avro(cls, text: str) -> "RecordSchema":
        """Read a registered schema back; raises SchemaRefused if it is not one of ours."""
        document = json.loads(text)
        try:
            fields = tuple(_read_field(field) for field in document["fields"])
            if document["type"] != "record" or fields[-2:] != (FILE_FIELD, ROW_FIELD):
                raise ValueError(document["type"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            name = document.get("name") if isinstance(document, dict) else document
            message = f'schema "{name}" is not a headrace record schema: {error}'
            raise SchemaRefused(message, hint="records on this topic come from another producer") from error
        return cls(document["name"], fields[:-2])


def _read_field(field: dict[str, Any]) -> RecordField:
    null, kind = field["type"]
    if null != "null":
        raise ValueError(field["name"])
    if isinstance(kind, str):
        return RecordField(field["name"], FieldType(kind), field.get("doc", ""))
    name = kind.get("logicalType", kind["type"])
    return RecordField(
        field["name"],
        FieldType(name),
        field.get("doc", ""),
        symbols=tuple(kind.get("symbols", ())),
        size=kind.get("size", 0),
        precision=kind.get("precision", 0),
        scale=kind.get("scale", 0),
    )
