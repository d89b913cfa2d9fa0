"""A model's whole state as canonical JSON, and back, without pickle: only known classes are ever made.

Objects are taken apart by Python's own reduce protocol (what `copy` uses), so a plug-in need not say what its state is.
They lie in one flat table, each once, and refer to each other by number: sharing and cycles survive, and depth does
not matter. Equal state gives equal bytes, which is how a test sees that a killed learner is as an uninterrupted one.

What may be made is an allow-list of modules: river's estimators, our own models, containers, numbers and numpy's
arrays. Nothing in it opens a file or a connection, and a name outside of it is refused before anything is made.
"""

import base64
import copyreg
import functools
import importlib
import json
import random
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from headrace.errors import HeadraceError, Terminal

FORMAT = 2
_PACKAGES = ("river.", "headrace.stream_processors.models.", "headrace.stream_processors.steps.")
_REFUSED_PACKAGES = ("river.datasets", "river.stream", "river.api", "river.checks", "river.evaluate")
_NAMES = frozenset({
    "builtins:bool", "builtins:complex", "builtins:dict", "builtins:float", "builtins:frozenset", "builtins:int",
    "builtins:list", "builtins:object", "builtins:range", "builtins:set", "builtins:slice", "builtins:str",
    "builtins:tuple", "collections:Counter", "collections:OrderedDict", "collections:defaultdict",
    "collections:deque", "copy:deepcopy", "datetime:date", "datetime:datetime", "datetime:timedelta",
    "decimal:Decimal", "fractions:Fraction", "functools:partial", "headrace.schemas.learner_spec:Task",
    "random:Random", "statistics:NormalDist",
})  # fmt: skip
_PLAIN = (bool, int, float, str, type(None))
_Node = Any


class StateRefused(HeadraceError, Terminal):
    """A packed state that was not written by this version, or names what may not be made."""

    code = "state_refused"


def pack(root: object, packages: Iterable[str] = ()) -> bytes:
    """Return the state of an object graph as JSON bytes; `packages` are those of plug-ins that may be in it.

    Raises StateRefused for an object whose class is outside of the allowed packages: it could not be read again.

    >>> unpack(pack({"seen": [1, 2.5], "by": {("a", 1)}}))
    {'seen': [1, 2.5], 'by': {('a', 1)}}
    """
    packer = _Packer(_allowed(packages))
    document = {"format": FORMAT, "root": packer.node(root), "objects": packer.table()}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def unpack(data: bytes, packages: Iterable[str] = ()) -> Any:
    """Return the objects of `pack`; raises StateRefused for bytes that are none of its or name what is not allowed."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise StateRefused(f"the state has format {document['format']}, not {FORMAT}", hint=_HINT)
        return _Unpacker(document["objects"], _allowed(packages)).value(document["root"])
    except StateRefused:
        raise
    except _UNREADABLE as error:
        raise StateRefused(f"the state cannot be read: {error!r}", hint=_HINT) from error


_HINT = "headrace learn rollback goes back to an older version"
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    ImportError,  # a module of a plug-in, or of another version of a library, that is not there
)


def _allowed(packages: Iterable[str]) -> tuple[str, ...]:
    return _PACKAGES + tuple(f"{name}." for name in packages)


def _check(name: str, allowed: tuple[str, ...]) -> None:
    module = name.partition(":")[0] + "."
    known = name in _NAMES or (module.startswith(allowed) and not module.startswith(_REFUSED_PACKAGES))
    if not known:
        hint = "docs/guide/write-a-model.md says what may"
        raise StateRefused(f'"{name}" may not be part of a model\'s state', hint=hint)


class _Packer:
    """Numbers objects as they are met, and writes each down once."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._numbers: dict[int, int] = {}
        self._met: list[object] = []
        self._unseeded = random.Random(0)  # noqa: S311

    def table(self) -> list[_Node]:
        """Return the entries of all objects; those met on the way are appended while it goes."""
        found: list[_Node] = []
        while len(found) < len(self._met):
            found.append(self._entry(self._met[len(found)]))
        return found

    def node(self, value: object) -> _Node:
        """Return what stands for a value inside of an entry: itself, or where it is."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple:
            return ["t", *map(self.node, value)]  # type: ignore[call-overload]
        if kind is bytes:
            return ["b", _text(value)]  # type: ignore[arg-type]
        if isinstance(value, np.generic):
            return ["n", value.dtype.str, _text(value.tobytes())]
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)) and not _bound(value):
            return ["c", self._name(value)]
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._met)
            self._met.append(value)
        return ["@", number]

    def _entry(self, value: Any) -> _Node:
        kind = type(value)
        if kind is list:
            return ["l", *map(self.node, value)]
        if kind is dict:
            return ["d", *(self.node(part) for item in value.items() for part in item)]
        if kind in {set, frozenset}:
            return ["s" if kind is set else "f", *sorted(map(self.node, value), key=json.dumps)]
        if kind is np.ndarray and not value.dtype.hasobject:
            return ["a", value.dtype.str, list(value.shape), _text(np.ascontiguousarray(value).tobytes())]
        if isinstance(value, (types.MethodType, types.BuiltinMethodType)):
            return ["m", self.node(value.__self__), value.__name__]
        return self._reduced(value)

    def _reduced(self, value: Any) -> _Node:
        try:
            parts = value.__reduce_ex__(4)
        except TypeError as error:
            raise StateRefused(f"{type(value).__qualname__} has no state that can be kept: {error}") from error
        if isinstance(parts, str):
            raise StateRefused(f'"{parts}" is a global object: its state cannot be kept', hint=_HINT)
        function, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        if isinstance(state, dict) and state.get("seed", 0) is None and isinstance(state.get("_rng"), random.Random):
            # A generator that nobody seeded may be any; river's distributions have one each, 2.5 KB of chance.
            state = state | {"_rng": self._unseeded}
        if function is copyreg.__newobj__:  # type: ignore[attr-defined]
            made = ["o", self._name(arguments[0]), [self.node(one) for one in arguments[1:]]]
        else:
            made = ["r", self._name(function), [self.node(one) for one in arguments]]
        listed = [self.node(one) for one in items or ()]
        paired = [self.node(part) for item in pairs or () for part in item]
        return [*made, self.node(state), listed, paired]

    def _name(self, value: Any) -> str:
        name = f"{value.__module__}:{value.__qualname__}"
        _check(name, self._allowed)
        return name


def _bound(value: Any) -> bool:
    owner = getattr(value, "__self__", None)
    return owner is not None and not isinstance(owner, types.ModuleType) and not isinstance(value, type)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Unpacker:
    """Makes every object of the table, then gives each what it holds."""

    def __init__(self, table: list[list[_Node]], allowed: tuple[str, ...]) -> None:
        self._table, self._allowed = table, allowed
        self._made: dict[int, Any] = {}
        self._filled: set[int] = set()
        self._completed: set[int] = set()
        for number in range(len(table)):
            self._make(number)
        # What is deep in the graph was met last: it is filled before what holds it.
        for number in reversed(range(len(table))):
            self._fill(number)

    def value(self, node: _Node) -> Any:
        """Return the value that a node stands for."""
        if not isinstance(node, list):
            return node
        kind, *parts = node
        if kind == "@":
            return self._make(parts[0])
        if kind == "t":
            return tuple(map(self.value, parts))
        if kind == "b":
            return base64.b64decode(parts[0], validate=True)
        if kind == "n":
            return np.frombuffer(base64.b64decode(parts[1]), np.dtype(parts[0]))[0]
        if kind == "c":
            return self._named(parts[0])
        raise StateRefused(f'unknown kind of value "{kind}"', hint=_HINT)

    def _make(self, number: int) -> Any:
        if number in self._made:
            return self._made[number]
        kind, *parts = self._table[number]
        made = self._MAKERS[kind](self, parts)
        # A maker whose arguments lead back to the object itself would have made it twice.
        return self._made.setdefault(number, made)

    def _array(self, parts: list[_Node]) -> Any:
        kind, shape, text = parts
        return np.frombuffer(base64.b64decode(text), np.dtype(kind)).reshape(shape).copy()

    def _object(self, parts: list[_Node]) -> Any:
        made = self._named(parts[0])
        if not isinstance(made, type):
            raise StateRefused(f'"{parts[0]}" is no class', hint=_HINT)
        return made.__new__(made, *map(self.value, parts[1]))

    def _called(self, parts: list[_Node]) -> Any:
        function = self._named(parts[0])
        if not (isinstance(function, type) or function.__name__.startswith("__pyx_unpickle")):
            raise StateRefused(f'"{parts[0]}" may not be called', hint=_HINT)
        # What a constructor is given it may copy: it must be whole by then.
        for number in _references(parts[1]):
            self._complete(number)
        return function(*map(self.value, parts[1]))

    def _complete(self, number: int) -> None:
        """Make an object and all that it holds."""
        self._make(number)
        if number not in self._completed:
            self._completed.add(number)
            for inner in _references(self._table[number]):
                self._complete(inner)
            self._fill(number)

    def _method(self, parts: list[_Node]) -> Any:
        owner, name = self.value(parts[0]), parts[1]
        if name.startswith("__"):
            raise StateRefused(f'"{name}" may not be part of a model\'s state', hint=_HINT)
        return getattr(owner, name)

    _MAKERS: dict[str, Callable[["_Unpacker", list[_Node]], Any]] = {  # noqa: RUF012
        "l": lambda _self, _parts: [],
        "d": lambda _self, _parts: {},
        "s": lambda _self, _parts: set(),
        "f": lambda self, parts: frozenset(map(self.value, parts)),
        "a": _array,
        "m": _method,
        "o": _object,
        "r": _called,
    }

    def _fill(self, number: int) -> None:
        if number in self._filled:
            return
        self._filled.add(number)
        made = self._make(number)
        kind, *parts = self._table[number]
        if kind == "l":
            made.extend(map(self.value, parts))
        elif kind == "d":
            made.update(self._pairs(parts))
        elif kind == "s":
            made.update(map(self.value, parts))
        elif kind in {"o", "r"}:
            for inner in _references([parts[2]]):
                self._fill(inner)
            _set_state(made, self.value(parts[2]))
            for one in parts[3]:
                made.append(self.value(one))
            for key, value in self._pairs(parts[4]):
                made[key] = value

    def _pairs(self, nodes: list[_Node]) -> Iterator[tuple[Any, Any]]:
        values = map(self.value, nodes)
        return zip(values, values, strict=True)

    def _named(self, name: str) -> Any:
        _check(name, self._allowed)
        module, _, path = name.partition(":")
        found = functools.reduce(getattr, path.split("."), importlib.import_module(module))
        # A module's names reach further than what it defines: importlib.import_module is one step from here.
        if (getattr(found, "__module__", ""), getattr(found, "__qualname__", "")) != (module, path):
            raise StateRefused(f'"{name}" is not where it says', hint=_HINT)
        return found


def _references(nodes: list[_Node]) -> list[int]:
    """Return the numbers of the objects that a list of values names, also within tuples."""
    found: list[int] = []
    for node in nodes:
        if isinstance(node, list) and node:
            found += [node[1]] if node[0] == "@" else _references(node)
    return found


def _set_state(made: Any, state: Any) -> None:
    """Give an object its attributes, as Python's `copy` does."""
    if state is None:
        return
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if attributes:
        made.__dict__.update({sys.intern(name): value for name, value in attributes.items()})
    for name, value in (slots or {}).items():
        setattr(made, name, value)
