"""Where an INSERT ends and its data begins. The data are the input format's, never ours: they are not looked at."""

from dataclasses import dataclass

from headrace.embedded.warehouse.faults import SYNTAX_ERROR, Fault
from headrace.embedded.warehouse.lexer import Kind, Token, tokens


@dataclass(frozen=True)
class InsertHead:
    """An INSERT statement up to and with its FORMAT (or VALUES), and the place where its data begin."""

    statement: bytes
    data_start: int
    settled: bool
    """False while more bytes could still lengthen the format's name or the blanks behind it."""


def find_insert_head(text: bytes) -> InsertHead | None:
    r"""Return the head of an INSERT with inline data; None for any other statement, or one that is not whole yet.

    >>> find_insert_head(b"INSERT INTO t (a) FORMAT CSV\n1\n2\n").data_start
    29
    >>> find_insert_head(b"INSERT INTO t SELECT 1 FORMAT CSV") is None
    True
    >>> find_insert_head(b"SELECT 1") is None
    True
    """
    found: list[Token] = []
    for token in tokens(text.decode("latin-1")):
        if not found and not token.keyword("INSERT"):
            return None
        found.append(token)
        if token.depth == 0 and len(found) > 3:
            before = found[-2]
            if token.keyword("SELECT") or token.keyword("WITH") or token.keyword("INFILE"):
                return None
            if token.keyword("VALUES") and _may_follow(found):
                return InsertHead(text[: token.end], token.end, settled=token.end < len(text))
            if before.keyword("FORMAT") and token.kind is Kind.WORD and _may_follow(found[:-1]):
                start = _data_start(text, token.end)
                return InsertHead(text[: token.end], start, settled=start < len(text))
    return None


def starts_insert(text: bytes) -> bool:
    """Return whether the first word is INSERT (or may become it when more bytes come)."""
    first = next(tokens(text.decode("latin-1")), None)
    return first is None or (first.kind is Kind.WORD and "INSERT".startswith(first.text.upper()))


def _may_follow(found: list[Token]) -> bool:
    """FORMAT and VALUES may also be the table's own name: INSERT INTO [TABLE] name, or after a dot."""
    before = found[-2]
    return not (before.keyword("INTO") or before.keyword("TABLE") or before.text == ".")


def _data_start(text: bytes, end: int) -> int:
    """Skip what ClickHouse skips: blanks, then one line end. A binary format's first byte may be a blank too."""
    while end < len(text) and text[end : end + 1] in {b" ", b"\t", b"\f"}:
        end += 1
    if text[end : end + 1] == b";":
        raise Fault(SYNTAX_ERROR, "Syntax error: an excessive ';' before the data of an INSERT.")
    if text[end : end + 1] == b"\r":
        end += 1
    if text[end : end + 1] == b"\n":
        end += 1
    return end
