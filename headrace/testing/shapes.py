"""Does JSON have the shape that the reference page tells? Every key, no other key, and every type."""

from collections.abc import Iterator
from typing import Any

from headrace.cli.json_shapes import Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "true or false": (bool,),  # before numbers, which Python's are too
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def differences(value: Any, shape: Shape, path: str = "$") -> Iterator[str]:
    """Yield what a value has, lacks, or has as another type than its shape tells; nothing if they agree.

    >>> list(differences({"a": "1", "c": 2}, Shape("object", keys={"a": Shape("number"), "b": Shape("text")})))
    ['$.b is missing', '$.c is not told', '$.a is text, not number']
    """
    if value is None:
        if not shape.nullable:
            yield f"{path} is null"
        return
    if shape.kind == "any":
        return
    found = next((kind for kind, types in _TYPES.items() if isinstance(value, types)), "?")
    if found != shape.kind:
        yield f"{path} is {found}, not {shape.kind}"
        return
    if shape.each is not None:
        entries = enumerate(value) if found == "array" else value.items()
        for name, entry in entries:
            yield from differences(entry, shape.each, f"{path}[{name}]")
    elif shape.kind == "object":
        yield from (
            f"{path}.{name} is missing" for name, one in shape.keys.items() if not one.optional | (name in value)
        )
        yield from (f"{path}.{name} is not told" for name in value if name not in shape.keys)
        for name in value.keys() & shape.keys.keys():
            yield from differences(value[name], shape.keys[name], f"{path}.{name}")
