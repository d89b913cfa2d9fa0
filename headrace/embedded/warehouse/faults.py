"""ClickHouse's errors as HTTP carries them: a number, a name, a text and a status."""

import re
from collections.abc import Mapping
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
BAD_ARGUMENTS: Final = 36
NOT_ENOUGH_SPACE: Final = 243

_OTHER_NAMES: Final = {
    LOGICAL_ERROR: "LOGICAL_ERROR",
    READONLY: "READONLY",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
    UNKNOWN_COMPRESSION: "UNKNOWN_COMPRESSION_METHOD",
    NOT_ENOUGH_SPACE: "NOT_ENOUGH_SPACE",
}

# ClickHouse's own map of its errors to statuses (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp), whole and without
# any addition: clients tell a mistake from a fault by the code, and by the status only where the server does so too.
STATUSES: Final[Mapping[int, Mapping[str, int]]] = {
    400: {
        "CANNOT_PARSE_TEXT": 6,
        "THERE_IS_NO_COLUMN": 8,
        "DUPLICATE_COLUMN": 15,
        "CANNOT_PARSE_ESCAPE_SEQUENCE": 25,
        "CANNOT_PARSE_QUOTED_STRING": 26,
        "CANNOT_PARSE_INPUT_ASSERTION_FAILED": 27,
        "BAD_ARGUMENTS": BAD_ARGUMENTS,
        "UNKNOWN_ELEMENT_IN_AST": 37,
        "CANNOT_PARSE_DATE": 38,
        "CANNOT_PARSE_DATETIME": 41,
        "ILLEGAL_COLUMN": 44,
        "TYPE_MISMATCH": 53,
        "SYNTAX_ERROR": SYNTAX_ERROR,
        "CANNOT_PARSE_NUMBER": 72,
        "INCORRECT_DATA": 117,
        "UNKNOWN_TYPE_OF_AST_NODE": 123,
        "TOO_DEEP_AST": 167,
        "TOO_BIG_AST": 168,
        "UNEXPECTED_AST_STRUCTURE": 223,
        "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE": 321,
        "CANNOT_PARSE_UUID": 376,
        "CANNOT_COMPILE_REGEXP": 427,
        "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING": 441,
        "CANNOT_PARSE_IPV4": 675,
        "CANNOT_PARSE_IPV6": 676,
    },
    401: {"REQUIRED_PASSWORD": 194},
    403: {
        "UNKNOWN_USER": 192,
        "WRONG_PASSWORD": 193,
        "ACCESS_DENIED": ACCESS_DENIED,
        "SET_NON_GRANTED_ROLE": 512,
        "AUTHENTICATION_FAILED": AUTHENTICATION_FAILED,
    },
    404: {
        "UNKNOWN_FUNCTION": 46,
        "UNKNOWN_IDENTIFIER": 47,
        "UNKNOWN_TYPE": 50,
        "UNKNOWN_STORAGE": 56,
        "UNKNOWN_TABLE": 60,
        "UNKNOWN_AGGREGATE_FUNCTION": 63,
        "UNKNOWN_FORMAT": 73,
        "UNKNOWN_TYPE_OF_QUERY": 78,
        "UNKNOWN_DATABASE": UNKNOWN_DATABASE,
        "UNKNOWN_SETTING": UNKNOWN_SETTING,
        "UNKNOWN_DIRECTION_OF_SORTING": 152,
        "UNKNOWN_DATABASE_ENGINE": 336,
        "UNKNOWN_ROLE": UNKNOWN_ROLE,
    },
    408: {"TIMEOUT_EXCEEDED": TIMEOUT_EXCEEDED},
    411: {"HTTP_LENGTH_REQUIRED": HTTP_LENGTH_REQUIRED},
    413: {"QUERY_IS_TOO_LARGE": QUERY_TOO_LARGE},
    415: {"UNSUPPORTED_MEDIA_TYPE": 779},
    501: {"NOT_IMPLEMENTED": NOT_IMPLEMENTED},
    503: {"CANNOT_OPEN_FILE": 76, "SOCKET_TIMEOUT": 209, "CANNOT_SCHEDULE_TASK": 439},
}
_STATUS_OF: Final = {code: status for status, codes in STATUSES.items() for code in codes.values()}
_NAME_OF: Final = {code: name for codes in STATUSES.values() for name, code in codes.items()} | _OTHER_NAMES

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
        self.name = name or _NAME_OF.get(code, "UNKNOWN_EXCEPTION")
        super().__init__(f"Code: {code}. DB::Exception: {text} ({self.name})")

    @property
    def status(self) -> int:
        """The HTTP status that ClickHouse's server gives this error: 500 for every one that its map does not name."""
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
    text, again = _TRAILER.sub("", found[2]).strip(), f"Code: {found[1]}. DB::Exception: "
    while text.startswith(again):
        text = text.removeprefix(again)
    text = _NESTED.sub(" ", text)
    named = _NAME.search(text)
    if named is None:
        return Fault(int(found[1]), text, "STD_EXCEPTION" if found[1] == "1001" else "")
    return Fault(int(found[1]), text[: named.start()].rstrip(), named[1])
