"""The fence: what a client's text may make the engine do (docs/decisions/0003).

The engine could read any file of the machine, so no client text reaches it as a statement before the engine's own
parser has made one canonical statement of it (`formatQuerySingleLine`, which runs nothing and refuses two), and that
statement's tree and names have been compared with the lists of `rules`. The canonical text is what runs. Behind the
fence stand the engine's own grants (`engine`): no role may use files, URLs or other hosts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from headrace.embedded.warehouse import rules
from headrace.embedded.warehouse.faults import ACCESS_DENIED, NOT_IMPLEMENTED, SYNTAX_ERROR, Fault
from headrace.embedded.warehouse.lexer import Kind, Token, escape_parameter, tokens
from headrace.embedded.warehouse.requests import WIRE_SETTINGS
from headrace.embedded.warehouse.tree import Node, parse_tree

_SCOPE = ": In scope SELECT formatQuerySingleLine("


class Act(Enum):
    """What a statement does to the warehouse."""

    READ = "read"
    SESSION = "session"
    WRITE = "write"


@dataclass(frozen=True)
class Admitted:
    """A statement that passed: its canonical text, its act, the root of its tree and its tokens."""

    text: str
    act: Act
    root: Node
    tokens: tuple[Token, ...]


class Parser(Protocol):
    """A handle of the engine, as far as the fence needs one."""

    def text(self, sql: str, parameters: Mapping[str, str]) -> str:
        """Run a statement of ours and return its answer, unescaped."""
        ...


@dataclass(frozen=True)
class Fence:
    """The rules, with the names of this engine's table functions and of its other functions."""

    table_functions: frozenset[str]
    functions: frozenset[str] = frozenset()

    def admit(self, parser: Parser, statement: str, parameters: Mapping[str, str]) -> Admitted:
        """Return the canonical statement, or raise the Fault that the client gets. Runs nothing of the client's."""
        canonical = _canonical(parser, statement)
        found = tuple(tokens(canonical))
        self._check_tokens(found)
        _check_names(found, parameters)
        root = parse_tree(parser.text(f"EXPLAIN AST {canonical}", parameters))
        act = self._act(root, canonical)
        self._check_tree(root, parents=())
        return Admitted(canonical, act, root, found)

    def check_setting(self, name: str) -> None:
        """Raise a Fault for a setting that clients may not change."""
        if name.lower() in WIRE_SETTINGS:
            raise Fault(NOT_IMPLEMENTED, f"setting {name} is read from the URL only: add {name.lower()}=... to it")
        if rules.SETTINGS.fullmatch(name.lower()):
            raise _refused(f"setting {name} cannot be changed here")

    def harmless_values(self, data: bytes) -> bool:
        """Return whether expressions in the data of INSERT ... VALUES may be evaluated.

        The Values format hands what is not a literal to the engine as an expression, past the fence; so a text that
        could name a refused function, in any quoting, is read as literals only.
        """
        text = data.lower()
        if b"`" in text or b'"' in text or b"\\x" in text:
            return False
        refused = self.table_functions - rules.TABLE_FUNCTIONS
        refused |= {name for name in self.functions if _reaches_out(name)} | {"select", "format"}
        return not any(name.encode() in text for name in refused)

    def _act(self, root: Node, canonical: str) -> Act:
        if root.kind in rules.READS:
            return Act.READ
        if root.kind in rules.SESSION:
            return Act.SESSION
        if root.kind not in rules.WRITES:
            raise _refused(f"statements like {canonical.split(' ', 1)[0]} are not for clients ({root.kind})")
        if root.kind == "CreateQuery":
            _check_create(canonical)
        return Act.WRITE

    def _check_tokens(self, found: Sequence[Token]) -> None:
        """Look at what the tree does not show: every called name, settings, and the words that open files."""
        for index, token in enumerate(found):
            before = found[index - 1] if index else None
            after = found[index + 1] if index + 1 < len(found) else None
            if token.kind is Kind.SIGN and token.text == ";":
                raise Fault(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
            if token.kind is Kind.WORD and token.text in {"OUTFILE", "INFILE", "REFRESH", "DEFINER"}:
                self._check_word(token, before)
            if token.keyword("SETTINGS") or token.keyword("SETTING") or (token.keyword("SET") and not index):
                for name in setting_names(found, index + 1):
                    self.check_setting(name)
                    if not index and (name.lower() in rules.SHAPES or name.startswith("param_")):
                        raise Fault(NOT_IMPLEMENTED, f"setting {name} holds for one query here: give it with the query")
            called = after is not None and after.kind is Kind.SIGN and after.text == "("
            applied = before is not None and before.keyword("APPLY")
            if token.named and (applied or (called and not _is_table_name(before))):
                self._check_function(token.text)
            if token.text in {"DISK", "VOLUME"} and before is not None and before.text == "TO":
                raise _refused("data cannot be moved to other disks")

    def _check_word(self, token: Token, before: Token | None) -> None:
        opens = {"OUTFILE": "INTO", "INFILE": "FROM"}.get(token.text)
        if opens is None or (before is not None and before.text == opens):
            raise _refused(f"{token.text} is not for clients")

    def _check_function(self, name: str) -> None:
        lowered = name.lower()
        if lowered in rules.SHARED_NAMES or lowered in rules.TABLE_FUNCTIONS:
            return
        if lowered in self.table_functions or _reaches_out(lowered):
            raise _refused(f"function {name} reaches out of the warehouse")

    def _check_reference(self, node: Node, function: Node) -> None:
        """Refuse arrayMap(file, paths): a bare name among the arguments may mean the function of that name.

        A column of that name is fine where no function can be meant, and everywhere when it is qualified: t.file.
        """
        name = node.name.lower()
        if name in self.functions and _reaches_out(name) and function.name.lower() not in rules.COLUMN_FUNCTIONS:
            raise _refused(f"in {function.name}(...) {node.name} may be the function; write the column as table.{name}")

    def _check_tree(self, node: Node, parents: tuple[Node, ...]) -> None:
        if node.kind == "Function":
            self._check_function_node(node, parents)
        elif node.kind == "TableIdentifier":
            _check_table_name(node.name)
        elif node.kind == "AlterCommand" and node.name not in rules.ALTERS:
            raise _refused(f"ALTER ... {node.name} is not for clients")
        elif parents and node.kind.endswith("Query") and node.kind not in rules.NESTED:
            raise _refused(f"{node.kind} inside of another statement")
        if node.kind == "Identifier" and len(parents) > 1 and parents[-1].kind == "ExpressionList":
            if parents[-2].kind == "Function":
                self._check_reference(node, parents[-2])
        for child in node.children:
            self._check_tree(child, (*parents, node))

    def _check_function_node(self, node: Node, parents: tuple[Node, ...]) -> None:
        name, parent = node.name.lower(), parents[-1].kind if parents else ""
        if parent in {"TableExpression", "InsertQuery", "CreateQuery"} and name not in rules.TABLE_FUNCTIONS:
            raise _refused(f"table function {node.name}")
        in_set = parent == "ExpressionList" and len(parents) > 1 and parents[-2].name.lower().endswith("in")
        if name in rules.SHARED_NAMES and in_set:
            raise _refused(f"table function {node.name}")
        self._check_function(node.name)


def _canonical(parser: Parser, statement: str) -> str:
    """Return the statement as the engine writes it; a refusal speaks of the client's text, not of how it was read."""
    try:
        text = parser.text("SELECT formatQuerySingleLine({q:String})", {"q": escape_parameter(statement)})
    except Fault as fault:
        raise Fault(fault.code, fault.text.partition(_SCOPE)[0], fault.name) from fault
    return text.removesuffix("\n")


def setting_names(found: Sequence[Token], index: int) -> list[str]:
    """Return the names of the list `name = value, ...` that begins at a token; values may be nested."""
    names = []
    while index + 1 < len(found) and found[index].named and found[index + 1].text == "=":
        names.append(found[index].text)
        depth = found[index].depth
        index += 2
        while index < len(found) and (found[index].depth > depth or found[index].text != ","):
            if found[index].depth < depth:
                return names
            index += 1
        index += 1
    return names


def _check_names(found: Sequence[Token], parameters: Mapping[str, str]) -> None:
    """Refuse control characters in names: the tree is read by lines, and a name could forge one."""
    names = [token.text for token in found if token.kind is Kind.QUOTED]
    for name, colon, kind in zip(found, found[1:], found[2:], strict=False):
        if colon.text == ":" and kind.text == "Identifier":
            names.append(parameters.get(name.text, "").replace("\\", "\x00"))
    if any(character < " " for name in names for character in name):
        raise _refused("names with control characters or escapes")


def _reaches_out(lowered: str) -> bool:
    return lowered in rules.SCALAR_FUNCTIONS or rules.SCALAR_PREFIXES.match(lowered) is not None


def _is_table_name(before: Token | None) -> bool:
    """Return whether a name before a bracket is a table with its columns: INSERT INTO file (a)."""
    return before is not None and (
        before.text == "." or (before.kind is Kind.WORD and before.text in {"INTO", "TABLE", "EXISTS", "VIEW"})
    )


def _check_create(canonical: str) -> None:
    """Allow tables, views and databases, of the listed engines."""
    created = rules.CREATES.match(canonical)
    if created is None:
        raise _refused("only tables, views and databases can be created")
    allowed = rules.DATABASE_ENGINES if created[0].endswith("DATABASE") else rules.TABLE_ENGINES
    found = tuple(tokens(canonical))
    for word, sign, engine in zip(found, found[1:], found[2:], strict=False):
        if word.keyword("ENGINE") and sign.text == "=" and engine.text.lower() not in allowed:
            raise _refused(f"engine {engine.text}")


def _check_table_name(name: str) -> None:
    """A path is not a table here, even if the `default` database were chDB's own, which opens files by name."""
    if "/" in name or "\\" in name or name.startswith("~"):
        raise _refused(f"{name!r} is a path, not a table")


def _refused(what: str) -> Fault:
    return Fault(ACCESS_DENIED, f"headrace's fence: {what}.")
