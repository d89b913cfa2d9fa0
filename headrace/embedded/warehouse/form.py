"""A body of multipart/form-data: how clients send a statement whose parameters are too long for a URL."""

import re
from collections.abc import Iterator
from email.message import Message
from typing import Final

from headrace.embedded.warehouse.body import Body
from headrace.embedded.warehouse.compression import Decoder, decode
from headrace.embedded.warehouse.faults import (
    BAD_ARGUMENTS,
    CANNOT_DECOMPRESS,
    NOT_IMPLEMENTED,
    QUERY_TOO_LARGE,
    Fault,
)

MOST_FORM_BYTES: Final = 4 * 2**20
MOST_PARTS: Final = 1000
_MOST_HEAD_BYTES: Final = 4096
_OPTION = r"""\s*;\s*([A-Za-z*]+)\s*=\s*("[^"\\]*"|[^\s";]+)"""
_DISPOSITION = re.compile(rf"form-data((?:{_OPTION})*)\s*", re.IGNORECASE)
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})


def is_form(content_type: str) -> bool:
    """Return whether a Content-Type says that the body is a form.

    >>> is_form("Multipart/Form-Data; boundary=x"), is_form("text/plain")
    (True, False)
    """
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


async def read_form(content_type: str, body: Body, decoder: Decoder) -> dict[str, str]:
    """Read a whole body and return its fields; raises Fault for one that is too large, not whole, or has other parts.

    The bound is of the decoded bytes. A part that is refused by its name is told before the size: tables are large.
    """
    data = bytearray()
    while raw := await body.chunk():
        for piece in decode(decoder, raw):
            data += piece
            if len(data) > MOST_FORM_BYTES:
                raise _too_large(content_type, bytes(data))
    if not decoder.complete:
        raise Fault(CANNOT_DECOMPRESS, "Cannot decompress the body: it ends too early")
    return form_fields(content_type, bytes(data))


def form_fields(content_type: str, data: bytes) -> dict[str, str]:
    r"""Return the fields `query` and `param_*` of a form, in their order; bytes that are no UTF-8 become surrogates.

    Every other part is refused by its name: files are external tables, and settings belong in the URL.

    >>> body = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n--x--\r\n'
    >>> form_fields("multipart/form-data; boundary=x", body)
    {'query': 'SELECT 1'}
    """
    fields: dict[str, str] = {}
    for head, value in _parts(_boundary(content_type), data):
        name = _field_name(head)
        if name in fields:
            raise Fault(BAD_ARGUMENTS, f"The multipart/form-data body has two parts of the name '{name}'")
        fields[name] = value.decode("utf-8", "surrogateescape")
    return fields


def _too_large(content_type: str, data: bytes) -> Fault:
    end = b"\r\n\r\n\r\n--" + _boundary(content_type) + b"--"
    try:
        form_fields(content_type, data + end)
    except Fault as fault:
        if fault.code == NOT_IMPLEMENTED:
            return fault
    return Fault(QUERY_TOO_LARGE, f"The multipart/form-data body is larger than {MOST_FORM_BYTES} bytes.")


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    found = message.get_param("boundary")
    if not isinstance(found, str) or _BOUNDARY.fullmatch(found) is None:
        raise Fault(BAD_ARGUMENTS, "The Content-Type multipart/form-data names no boundary of 1 to 70 ASCII characters")
    return found.encode("ascii")


def _parts(boundary: bytes, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield head and value of each part; raises Fault unless the bytes are parts and nothing else."""
    first, *parts = (b"\r\n" + data).split(b"\r\n--" + boundary, MOST_PARTS + 2)
    if len(parts) > MOST_PARTS + 1:
        raise Fault(QUERY_TOO_LARGE, f"The multipart/form-data body has more than {MOST_PARTS} parts.")
    if first or not parts or parts[-1] not in {b"--", b"--\r\n"}:
        raise Fault(BAD_ARGUMENTS, "The multipart/form-data body is not whole: it does not begin and end at a boundary")
    for part in parts[:-1]:
        line_end, _, rest = part.partition(b"\r\n")
        head, end, value = rest.partition(b"\r\n\r\n")
        if line_end.strip(b" \t") or not end or len(head) > _MOST_HEAD_BYTES:
            raise Fault(BAD_ARGUMENTS, "The multipart/form-data body has a part without a whole head")
        yield head, value


def _field_name(head: bytes) -> str:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or name.lower() in headers:
            raise Fault(BAD_ARGUMENTS, f"The multipart/form-data body has a part with the header line {line!r}")
        headers[name.lower()] = value.strip()
    disposition = _DISPOSITION.fullmatch(headers.get("content-disposition", ""))
    found: list[tuple[str, str]] = re.findall(_OPTION, disposition[1]) if disposition else []
    options = {option.lower(): value.strip('"') for option, value in found}
    name = options.get("name", "")
    if options.keys() & {"filename", "filename*"}:
        raise Fault(
            NOT_IMPLEMENTED,
            f"the part '{name}' of the multipart/form-data body is a file: there are no external tables here",
        )
    if not name or len(options) != len(found) or options.keys() != {"name"}:
        raise Fault(BAD_ARGUMENTS, "The multipart/form-data body has a part that is not form-data with one name")
    if name != "query" and not name.startswith("param_"):
        raise Fault(
            NOT_IMPLEMENTED,
            f"the part '{name}' of the multipart/form-data body is not supported here: only query and param_* are; "
            "settings go in the URL, and there are no external tables here",
        )
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        raise Fault(NOT_IMPLEMENTED, f"the part '{name}' has a Content-Transfer-Encoding, which is not supported here")
    return name
