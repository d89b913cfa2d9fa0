"""Regular expressions of contracts: the part of ECMA-262 that runs in linear time and means the same in every engine.

ODCS patterns are ECMA-262. polars (Rust's regex) and ClickHouse (RE2) match in linear time, which is why neither knows
look-around or back-references: a contract must not be able to stop the line.
"""

import re

import polars as pl

MAX_PATTERN = 1_000
# ECMA's \d, \w, \s and \b speak of ASCII, Rust's of Unicode: spelled out, all engines agree.
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": " \\t\\n\\r\\f\\v"}
_PLAIN_ESCAPE = re.compile(r"[nrtfv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\^$\\.*+?()\[\]{}|/\-]")
_GROUP = re.compile(r"\(\?(?!:)(?P<kind>[=!]|<[=!]|[^)]{0,8})")
_STACKED = re.compile(r"[*+?}][+*]")
_SET_OPERATORS = ("&&", "--", "~~", "[")


class PatternInvalid(ValueError):
    """A pattern that cannot be followed; the message says what and where."""


def linear_pattern(text: str) -> str:
    r"""Return `text` as an equal pattern for Rust's regex and RE2; raises PatternInvalid.

    >>> linear_pattern(r"^N\d{3}$")
    '^N[0-9]{3}$'
    """
    if not text or len(text) > MAX_PATTERN:
        raise PatternInvalid(f"a pattern has 1 to {MAX_PATTERN} characters, this one has {len(text)}")
    compiled, place, inside = [], 0, False
    while place < len(text):
        part, inside = _next_part(text, place, inside)
        compiled.append(_translated(part, place, inside))
        place += len(part)
    pattern = "".join(compiled)
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        cause = str(error).split("error: ")[-1].split("\n")[0].removesuffix(".")
        raise PatternInvalid(f"it is not a regular expression: {cause}") from error
    return pattern


def _next_part(text: str, place: int, inside: bool) -> tuple[str, bool]:
    """Return the next escape or character, and whether the scan is inside of [...] after it."""
    if text[place] == "\\":
        width = {"x": 4, "u": 6}.get(text[place + 1 : place + 2], 2)
        return text[place : place + width], inside
    if inside:
        if text[place] == "]" and text[place - 1] in "[^":
            raise PatternInvalid(f'"[]" at character {place} has another meaning elsewhere: write \\]')
        for operator in _SET_OPERATORS:
            if text.startswith(operator, place):
                raise PatternInvalid(
                    f'"{operator}" inside of [...] has another meaning elsewhere: write \\{operator[0]}'
                )
        return text[place], text[place] != "]"
    if match := _GROUP.match(text, place):
        what = "look-around" if match["kind"] in {"=", "!", "<=", "<!"} else f'"(?{match["kind"]}"'
        raise PatternInvalid(f"{what} at character {place + 1} cannot be matched in linear time by every engine")
    if _STACKED.match(text, place):
        raise PatternInvalid(f'"{text[place : place + 2]}" at character {place + 1}: one quantifier only')
    return text[place], text[place] == "["


def _translated(part: str, place: int, inside: bool) -> str:
    if part[0] != "\\":
        return part
    escape = part[1:]
    if escape.lower() in _CLASSES and escape:
        ascii_class = _CLASSES[escape.lower()]
        if escape.isupper():
            if inside:
                raise PatternInvalid(f'"{part}" inside of [...] at character {place + 1}: list what is allowed instead')
            return f"[^{ascii_class}]"
        return ascii_class if inside else f"[{ascii_class}]"
    if escape in {"b", "B"} and not inside:
        return f"(?-u:\\{escape})"
    if escape.isdigit() or escape == "k":
        raise PatternInvalid(f'back-reference "{part}" at character {place + 1} cannot be matched in linear time')
    if not _PLAIN_ESCAPE.fullmatch(escape):
        raise PatternInvalid(f'escape "{part}" at character {place + 1} is not known to every engine')
    if escape[0] in "xu":
        return f"\\x{{{escape[1:]}}}"
    return "/" if escape == "/" else part
