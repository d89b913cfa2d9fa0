"""What a file is that is not a table in text: told by its first bytes, never by its name."""

import re

from headrace.core.vocabulary import Reason

_UNPACK = "unpack it"
_EXPORT = "export it as CSV or NDJSON, or install a reader for it"
_SAVE = "save its table as CSV"
# (first bytes, what it is, what to do if it may hold data)
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (
        b"PK\x03\x04",
        "a zip archive (or a document that is one: xlsx, docx, ods)",
        "unpack it, or save the document's table as CSV",
    ),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "an lz4 archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet file", _EXPORT),
    (b"Obj\x01", "an Avro container", _EXPORT),
    (b"ORC", "an ORC file", _EXPORT),
    (b"ARROW1", "an Arrow file", _EXPORT),
    (b"FEA1", "a Feather file", _EXPORT),
    (b"SQLite format 3\x00", "a SQLite database", _EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (xls, doc)", _SAVE),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"%PDF-", "a PDF document", ""),
    (b"\x7fELF", "an ELF program", ""),
    (b"MZ\x90", "a Windows program", ""),
    (b"\xcf\xfa\xed\xfe", "a macOS program", ""),
    (b"\xca\xfe\xba\xbe", "a Java class or macOS program", ""),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"GIF87a", "a GIF picture", ""),
    (b"GIF89a", "a GIF picture", ""),
    (b"RIFF", "a RIFF media file", ""),
    (b"OggS", "an Ogg media file", ""),
    (b"ID3", "an MP3 sound", ""),
)
_UTF8_BOM = b"\xef\xbb\xbf"
# A bracket alone in the first line, or an array of objects or arrays.
_JSON_DOCUMENT = re.compile(rb"\s*(?:[\[{][ \t]*\r?\n|\[\s*[\[{])")
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_UTF32_BOMS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b\x1a")
# Text has next to no control characters; compressed or compiled bytes have one in ten.
_CONTROL_SHARE = 0.05
_FEW_CONTROLS = 8  # so many may be damage in single rows, which are then told one by one


def foreign_format(head: bytes) -> tuple[Reason, str] | None:
    r"""Return why these first bytes are not text that a reader can take, or None if they may be.

    >>> foreign_format(b"%PDF-1.7")
    (<Reason.BINARY: 'binary'>, 'it is a PDF document, not a table in text')
    >>> foreign_format(b"id,name\n1,x\n") is None
    True
    """
    if head.startswith(_UTF32_BOMS):
        return Reason.WRONG_ENCODING, "it is UTF-32 text: save it as UTF-8"
    for signature, name, action in _SIGNATURES:
        if head.startswith(signature):
            if action:
                return Reason.UNKNOWN_FORMAT, f"it is {name}, and no installed reader takes that: {action}"
            return Reason.BINARY, f"it is {name}, not a table in text"
    if head[257:262] == b"ustar":
        return Reason.UNKNOWN_FORMAT, f"it is a tar archive, and no installed reader takes that: {_UNPACK}"
    if head.startswith(_UTF16_BOMS):
        return None
    return _document(head) or _odd_bytes(head)


def _document(head: bytes) -> tuple[Reason, str] | None:
    """Tell text that is one document, not lines of records."""
    start = head.removeprefix(_UTF8_BOM).lstrip()[:16].lower()
    if start.startswith((b"<?xml", b"<!doctype", b"<html")):
        return Reason.UNKNOWN_FORMAT, f"it is an XML or HTML document, and no installed reader takes that: {_EXPORT}"
    if _JSON_DOCUMENT.match(head.removeprefix(_UTF8_BOM)):
        return Reason.UNKNOWN_FORMAT, "it is one JSON document: write one object a line (NDJSON)"
    return None


def _odd_bytes(head: bytes) -> tuple[Reason, str] | None:
    """Tell UTF-16 without a byte-order mark, and binary data of no known kind."""
    pairs = len(head) // 2
    zeros_even, zeros_odd = head[0 : pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if pairs and (zeros_even + zeros_odd) > 0.3 * pairs and min(zeros_even, zeros_odd) < 0.05 * pairs:
        return Reason.WRONG_ENCODING, "it looks like UTF-16 without a byte-order mark: save it as UTF-8"
    controls = sum(1 for byte in head if (byte < 0x20 and byte not in _TEXT_CONTROLS) or byte == 0x7F)
    if controls > max(_CONTROL_SHARE * len(head), _FEW_CONTROLS):
        return Reason.BINARY, f"{controls} of its first {len(head)} bytes are control characters: it is not text"
    return None
