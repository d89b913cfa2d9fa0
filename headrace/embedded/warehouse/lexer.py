"""SQL text cut into tokens the way ClickHouse's lexer does it, for two questions only.

Where does an INSERT's inline data begin, and which names does a canonical statement use. Nothing is decided by this
lexer alone: what it finds to be a statement is formatted and explained by the engine's own parser before it runs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `text` is the unescaped name for words and quoted names, the source text for the rest."""

    kind: Kind
    text: str
    start: int
    end: int
    depth: int

    @property
    def named(self) -> bool:
        """Whether the token can be a name."""
        return self.kind in {Kind.WORD, Kind.QUOTED}

    def keyword(self, word: str) -> bool:
        """Whether the token is this keyword, in any case."""
        return self.kind is Kind.WORD and self.text.upper() == word


_TOKEN = re.compile(
    r"""
      (?P<skip>[\s\x00]+|--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>[0-9][\w.]*)
    | (?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<quoted>`(?:[^`\\]|\\.|``)*(?:`|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z))
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)|(``|\"\"|'')", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}


def tokens(text: str) -> Iterator[Token]:
    r"""Cut a text into tokens; blanks and comments are left out. Never fails: what it does not know is a sign.

    >>> [token.text for token in tokens("SELECT `a\\x62`, 'it''s' -- done")]
    ['SELECT', 'ab', ',', "'it''s'"]
    """
    depth = 0
    for found in _TOKEN.finditer(text):
        group = found.lastgroup
        if group == "skip":
            continue
        source = found.group()
        if group == "word":
            kind, value = Kind.WORD, source
        elif group == "quoted":
            kind, value = Kind.QUOTED, unescaped(source)
        elif group == "number":
            kind, value = Kind.NUMBER, source
        elif group in {"string", "heredoc", "tag"}:
            kind, value = Kind.STRING, source
        else:
            kind, value = Kind.SIGN, source
            depth -= source in {")", "]", "}"}
        yield Token(kind, value, found.start(), found.end(), depth)
        depth += kind is Kind.SIGN and source in {"(", "[", "{"}


def unescaped(quoted: str) -> str:
    """Return the name or text between quotes.

    >>> unescaped("`a``b`")
    'a`b'
    """
    body = quoted[1:-1] if len(quoted) > 1 and quoted[-1] == quoted[0] else quoted[1:]
    return _ESCAPE.sub(_plain, body)


def _plain(found: re.Match[str]) -> str:
    if found[2]:
        return found[2][0]
    escape = found[1]
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, escape)


def quote_text(text: str) -> str:
    r"""Return a string literal.

    >>> print(quote_text("it's"))
    'it\'s'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    r"""Return a quoted identifier.

    >>> print(quote_name("a`b"))
    `a\`b`
    """
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})


def escape_parameter(text: str) -> str:
    r"""Return a query parameter's value: ClickHouse reads it as TSV-escaped text.

    >>> print(escape_parameter("a\tb"))
    a\tb
    """
    return text.translate(_TSV)
