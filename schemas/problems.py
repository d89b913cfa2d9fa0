"""What is wrong with a contract or a learner: all problems at once, each with line, key, value and next action."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from headrace.errors import ContractInvalid, LearnerInvalid
from headrace.schemas.strict_yaml import load_yaml

Place = tuple[str | int, ...]
_SHOWN = 60


@dataclass(frozen=True)
class Problem:
    """One fault of a document: where, what, the value found, and what to do."""

    place: Place
    what: str
    value: object
    hint: str


class ContractProblems(ContractInvalid):
    """A contract that cannot be followed; `problems` holds one line each, the message has them all.

    `file` is where the document lies, empty for one that is no file.
    """

    def __init__(self, source: str, problems: Sequence[str], file: str = "") -> None:
        hint = f"correct it, then: headrace contract lint {shlex.quote(file)}" if file else "correct the document"
        super().__init__(f"contract {source}: {'; '.join(problems)}", hint=hint)
        self.problems = tuple(problems)


class LearnerProblems(LearnerInvalid):
    """A learner that cannot be followed; `problems`, the message and `file` are as with ContractProblems."""

    def __init__(self, source: str, problems: Sequence[str], file: str = "") -> None:
        hint = f"correct it, then: headrace learn lint {shlex.quote(file)}" if file else "correct the document"
        super().__init__(f"learner {source}: {'; '.join(problems)}", hint=hint)
        self.problems = tuple(problems)


def describe(problem: Problem, root: yaml.Node | None) -> str:
    """Return a problem as one line of text."""
    path = _path(problem.place, root)
    value = "" if problem.value is None or isinstance(problem.value, (dict, list, tuple)) else _shown(problem.value)
    line = _line(problem.place, root)
    return f"{f'line {line}: ' if line else ''}{path}: {problem.what}{value}; {problem.hint}"


def _shown(value: object) -> str:
    text = str(value)
    return f' (found "{text[:_SHOWN]}{"..." if len(text) > _SHOWN else ""}")'


def _path(place: Place, root: yaml.Node | None) -> str:
    """Return the place as a path; list entries go by their name or id where they have one."""
    parts, node = [], root
    for key in place:
        node = _child(node, key)
        label = _label(node) if isinstance(key, int) else ""
        if isinstance(key, int):
            parts.append(f"[{label or key}]")
        else:
            parts.append(f".{key}" if parts else str(key))
    return "".join(parts) or "document"


def _label(node: yaml.Node | None) -> str:
    for key in ("name", "id", "property", "username"):
        found = _child(node, key)
        if isinstance(found, yaml.ScalarNode):
            return str(found.value)
    return ""


def _line(place: Place, root: yaml.Node | None) -> int:
    """Return the line of the deepest part of the place that is in the document, 0 without a document."""
    node, line = root, 0
    for number, key in enumerate(place):
        if isinstance(node, yaml.ScalarNode):
            return _line_within(node, place[number:]) or line
        line = _key_line(node, key) or line
        node = _child(node, key)
    return line or (root.start_mark.line + 1 if root is not None else 0)


def _line_within(node: yaml.ScalarNode, place: Place) -> int:
    """Return the line of a place in YAML that stands as a block of text in YAML (`|`), 0 if it is not in there."""
    if node.style != "|":
        return 0
    inner = load_yaml(node.value)[1]
    found = _line(place, inner) if _child(inner, place[0]) is not None else 0
    return node.start_mark.line + 1 + found if found else 0


def _key_line(node: yaml.Node | None, key: str | int) -> int:
    if isinstance(node, yaml.MappingNode):
        return next((name.start_mark.line + 1 for name, _ in node.value if name.value == str(key)), 0)
    child = _child(node, key)
    return child.start_mark.line + 1 if child is not None else 0


def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        found: yaml.Node = node.value[key]
        return found
    return None
