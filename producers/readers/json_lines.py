"""One line of NDJSON to a Python object, strictly: what JSON leaves open is refused, so nothing is lost in silence."""

import json
import re
from typing import Any

DEPTH = 64
_WHITE = re.compile(r"[ \t\r\n]*")


class BadLine(ValueError):
    """A line that is not one JSON object; the text says why."""


class NumberText(str):
    """A fraction as it was written."""

    __slots__ = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadLine(f"key {twice[:60]!r} is there twice")
    return found


def _constant(name: str) -> Any:
    raise BadLine(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_constant).decode
_decode_texts = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=NumberText).decode
_value = json.JSONDecoder().raw_decode


def parse_line(text: str, *, fractions_as_text: bool = False) -> dict[str, Any]:
    """Return the object of a line; raises BadLine.

    >>> parse_line('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    headrace.producers.readers.json_lines.BadLine: key 'a' is there twice
    """
    if text.count("[") + text.count("{") > DEPTH and _depth(text) > DEPTH:
        raise BadLine(f"nested deeper than {DEPTH} levels")
    try:
        found = (_decode_texts if fractions_as_text else _decode)(text)
        if not fractions_as_text and not _keys_differ(text, found):
            _decode_texts(text)
    except json.JSONDecodeError as error:
        raise BadLine(f"{error.msg} at character {error.pos + 1}") from error
    except BadLine:
        raise
    except ValueError as error:
        raise BadLine("a whole number has thousands of digits") from error
    if type(found) is not dict:
        raise BadLine(f"the line is not an object but {_kind(found)}")
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadLine("half of a surrogate pair is not text") from error
    return found


def _keys_differ(text: str, found: Any) -> bool:
    """Return True if the text surely has no more keys than the object, so none is there twice.

    A key is followed by a quote and a colon. Only flat objects of plain style are settled so, which are most; the
    others are decoded again by a decoder that looks at every pair, at twice the price.
    """
    return type(found) is dict and text.count('":') == len(found) and '" ' not in text and '"\t' not in text


def value_texts(text: str) -> dict[str, str]:
    r"""Return the source text of each value of a line that `parse_line` takes.

    >>> value_texts('{"a": [1.50,  2], "b": "x"}')
    {'a': '[1.50,  2]', 'b': '"x"'}
    """
    found: dict[str, str] = {}
    place = _white(text, text.index("{") + 1)
    while text[place] != "}":
        key, place = _value(text, place)
        start = _white(text, _white(text, place) + 1)
        place = _value(text, start)[1]
        found[key] = text[start:place]
        place = _white(text, place)
        if text[place] == ",":
            place = _white(text, place + 1)
    return found


def _white(text: str, place: int) -> int:
    match = _WHITE.match(text, place)
    return match.end() if match else place


def _depth(text: str) -> int:
    """Return how deep brackets nest outside of strings; a broken string counts to its end only."""
    depth = deepest = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', text):
        if mark.group() in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark.group() in "]}":
            depth -= 1
    return deepest


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {list: "an array", str: "a string", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "a number")
