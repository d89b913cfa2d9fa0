"""The engine's own syntax tree, read from the text of EXPLAIN AST."""

import re
from dataclasses import dataclass, field

_CHILDREN = re.compile(r" \(children \d+\)$")
_ALIAS = re.compile(r" \(alias .*?\)$", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Node:
    """A node: `kind` is its first word (two for definitions), `name` the rest of its line."""

    kind: str
    name: str
    line: str
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> "list[Node]":
        """Return this node and all below it."""
        return [self] + [node for child in self.children for node in child.walk()]


def parse_tree(text: str) -> Node:
    r"""Return the root of a tree; its depth is told by leading blanks.

    >>> root = parse_tree("Explain EXPLAIN AST (children 1)\n Function f (alias x) (children 1)\n  Literal 'a'\n")
    >>> root.kind, root.children[0].name, root.children[0].children[0].kind
    ('Explain', 'f', 'Literal')
    """
    root: Node | None = None
    path: list[Node] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip(" "))
        node = _node(line.strip(" ") if depth else line)
        if root is None:
            root, path = node, [node]
            continue
        depth = min(max(depth, 1), len(path))
        del path[depth:]
        path[-1].children.append(node)
        path.append(node)
    return root or Node("", "", "")


def _node(line: str) -> Node:
    bare = _ALIAS.sub("", _CHILDREN.sub("", line))
    for kind in ("Storage definition", "Columns definition", "SYSTEM query"):
        if bare.startswith(kind):
            return Node(kind, bare[len(kind) :].strip(), bare)
    kind, _, name = bare.partition(" ")
    return Node(kind, name.strip(), bare)
