"""ClickHouse's errors as HTTP carries them: a number, a name, a text and a status."""

import re
from typing import Final

LOGICAL_ERROR: Final = 49
SYNTAX_ERROR: Final = 62
UNKNOWN_DATABASE: Final = 81
NOT_IMPLEMENTED: Final = 48
TIMEOUT_EXCEEDED: Final = 159
UNKNOWN_SETTING: Final = 115
READONLY: Final = 164
TOO_MANY_QUERIES: Final = 202
SUPPORT_IS_DISABLED: Final = 344
SESSION_NOT_FOUND: Final = 372
SESSION_IS_LOCKED: Final = 373
INVALID_SESSION_TIMEOUT: Final = 374
HTTP_LENGTH_REQUIRED: Final = 381
CANNOT_DECOMPRESS: Final = 271
UNKNOWN_COMPRESSION: Final = 89
UNKNOWN_ROLE: Final = 511
ACCESS_DENIED: Final = 497
AUTHENTICATION_FAILED: Final = 516
QUERY_TOO_LARGE: Final = 229
NOT_ENOUGH_SPACE: Final = 243

NAMES: Final = {
    LOGICAL_ERROR: "LOGICAL_ERROR",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    UNKNOWN_DATABASE: "UNKNOWN_DATABASE",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    TIMEOUT_EXCEEDED: "TIMEOUT_EXCEEDED",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    READONLY: "READONLY",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    HTTP_LENGTH_REQUIRED: "HTTP_LENGTH_REQUIRED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
    UNKNOWN_COMPRESSION: "UNKNOWN_COMPRESSION_METHOD",
    UNKNOWN_ROLE: "UNKNOWN_ROLE",
    ACCESS_DENIED: "ACCESS_DENIED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    QUERY_TOO_LARGE: "QUERY_IS_TOO_LARGE",
    NOT_ENOUGH_SPACE: "NOT_ENOUGH_SPACE",
}

_STATUSES: Final = {
    401: {194},
    403: {497, 516, 192, 193, 523, 452, 164},
    404: {46, 47, 50, 56, 57, 60, 63, 70, 73, 81, 82, 115, 511, 512, 372},
    408: {159, 160},
    411: {381},
    413: {229},
    500: {241, 394, 1001},
    501: {48, 344},
    503: {75, 202, 209, 210, 279, 439},
}
_BAD_REQUESTS: Final = frozenset(
    {6, 7, 8, 10, 15, 16, 20, 25, 26, 27, 33, 34, 36, 38, 41, 42, 43, 44, 48, 53, 62, 69, 72, 80, 89, 117, 130, 131}
    | {153, 170, 179, 181, 182, 183, 184, 215, 271, 349, 352, 373, 374, 377, 386, 457, 456, 467, 472, 620, 636}
)
_STATUS_OF: Final = dict.fromkeys(_BAD_REQUESTS, 400) | {
    code: status for status, codes in _STATUSES.items() for code in codes
}

_ENGINE_ERROR = re.compile(r"Code: (\d+)(?:\.|, type: [^,]+,)\s*(?:DB::Exception: |e\.what\(\) = )?(.*)", re.DOTALL)
_TRAILER = re.compile(r"\s*(?:\(version [^)]*(?:\([^)]*\))?\))\s*$")
_NESTED = re.compile(r"\s*\(([A-Z_]+)\) \(version [\d.]+\)\.\s*(?=\(\1\))")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*$")


class Fault(Exception):
    """An error that the client sees as ClickHouse would tell it.

    >>> str(Fault(60, "Table x does not exist.", "UNKNOWN_TABLE"))
    'Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)'
    """

    def __init__(self, code: int, text: str, name: str = "") -> None:
        self.code = code
        self.text = text
        self.name = name or NAMES.get(code, "UNKNOWN_EXCEPTION")
        super().__init__(f"Code: {code}. DB::Exception: {text} ({self.name})")

    @property
    def status(self) -> int:
        """The HTTP status that ClickHouse's server gives this error."""
        return _STATUS_OF.get(self.code, 500)


def fault_of(message: str) -> Fault:
    """Return what chDB's error text says.

    >>> fault_of("Streaming failed: Code: 60. DB::Exception: No x. (UNKNOWN_TABLE) (version 26.9.2.1)").name
    'UNKNOWN_TABLE'
    >>> fault_of("std::exception. Code: 1001, type: avro::Exception, e.what() = Invalid name").code
    1001
    """
    found = _ENGINE_ERROR.search(message)
    if found is None:
        return Fault(1002, message.strip() or "the engine gave no reason", "UNKNOWN_EXCEPTION")
    text = _TRAILER.sub("", found[2]).strip().removeprefix(f"Code: {found[1]}. DB::Exception: ")
    text = _NESTED.sub(" ", text)
    named = _NAME.search(text)
    if named is None:
        return Fault(int(found[1]), text, "STD_EXCEPTION" if found[1] == "1001" else "")
    return Fault(int(found[1]), text[: named.start()].rstrip(), named[1])
