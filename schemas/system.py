"""The platform's own messages: their Avro schemas, which are part of the code, and how they are framed and read."""

import functools
import io
import json
import struct
from collections.abc import Mapping
from importlib import resources
from typing import Any

import fastavro
from fastavro.types import Schema

from headrace.errors import HeadraceError, Terminal

MAGIC = 0
HEADER = struct.Struct(">bI")


@functools.cache
def system_schema_text(name: str) -> str:
    """Return the text of schemas/avro/system/NAME.avsc, as it is registered."""
    text = resources.files("headrace.schemas").joinpath(f"avro/system/{name}.avsc").read_text(encoding="utf-8")
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def system_schema(name: str) -> dict[str, Any]:
    """Return a system schema as JSON values, with its docs."""
    found: dict[str, Any] = json.loads(system_schema_text(name))
    return found


@functools.cache
def _parsed(name: str) -> Schema:
    return fastavro.parse_schema(system_schema(name))


def frame_system(name: str, schema_id: int, value: Mapping[str, Any]) -> bytes:
    """Return a value in Confluent's wire format: byte 0, the registry id, the Avro body.

    Raises ValueError or TypeError of fastavro if the value does not fit the schema.
    """
    stream = io.BytesIO(HEADER.pack(MAGIC, schema_id))
    stream.seek(HEADER.size)
    fastavro.schemaless_writer(stream, _parsed(name), value, strict_allow_default=True)
    return stream.getvalue()


def read_system(name: str, message: bytes, writer_text: str | None = None) -> dict[str, Any]:
    """Return the value of a framed message; `writer_text` is the schema it was written with, if it is an older one."""
    writer = _parsed(name) if writer_text is None else fastavro.parse_schema(json.loads(writer_text))
    value = fastavro.schemaless_reader(io.BytesIO(message[HEADER.size :]), writer, _parsed(name))
    if not isinstance(value, dict):
        raise TypeError(name)
    return value


class MessageUnreadable(HeadraceError, Terminal):
    """A message on one of the platform's own topics that is none of the platform's records."""

    code = "message_unreadable"


def read_checked(name: str, message: bytes | None, writer_text: str | None) -> dict[str, Any]:
    """Return the value of a message that anyone may have written; raises MessageUnreadable if it is not such a record.

    Give `writer_text` for a framed message, None where the registry does not know its schema.
    """
    if message is None or schema_id_of(message) is None:
        raise MessageUnreadable("it is not in Confluent's wire format", hint="find out who else writes to the topic")
    try:
        return read_system(name, message, writer_text)
    except Exception as error:  # what fastavro raises for foreign bytes is not a closed set
        cause = f"it is not a {name}: {error!r}"
        raise MessageUnreadable(cause, hint="find out who else writes to the topic") from error


def schema_id_of(message: bytes) -> int | None:
    """Return the registry id in a framed message, None if the message is not framed."""
    if len(message) < HEADER.size or message[0] != MAGIC:
        return None
    found: int = HEADER.unpack_from(message)[1]
    return found
