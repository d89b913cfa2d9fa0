"""The parser of row rules: tokens, precedence and types. What it does not know it refuses, with the place."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from headrace.schemas.expression import Call, Column, Expression, Kind, Literal, Node

MAX_TEXT = 4_000
MAX_DEPTH = 40
_INT64_MAX = 2**63 - 1
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![A-Za-z_0-9.])
    |(?P<text>'(?:[^']|'')*')
    |"(?P<quoted>[a-z][a-z0-9_]*)"
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol><=|>=|<>|!=|==|[-+*/()<>=,]))""",
    re.VERBOSE,
)
_NUMBERS: Final = frozenset({Kind.WHOLE, Kind.NUMBER})
_ORDERED: Final = frozenset({*_NUMBERS, Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.TIME})
_KEYWORDS: Final = frozenset({"and", "or", "not", "is", "null", "in", "between", "true", "false", "date", "timestamp"})
FUNCTIONS: Final = frozenset({"abs", "length", "lower", "upper", "coalesce"})


class ExpressionInvalid(ValueError):
    """An expression that cannot be followed; the message says what and where."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int


def parse_expression(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """Return the parsed rule over fields of the given kinds; raises ExpressionInvalid.

    >>> parse_expression("dep_time IS NULL OR dep_time < 2400", {"dep_time": Kind.WHOLE}).fields
    ('dep_time',)
    """
    expression = parse_value(text, kinds)
    if expression.node.kind is not Kind.BOOLEAN:
        raise ExpressionInvalid(f"it gives a {expression.node.kind}, a rule must be true or false")
    return expression


def parse_value(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """Return a parsed expression of any kind over fields of the given kinds; raises ExpressionInvalid.

    >>> parse_value("arr_delay - dep_delay", {"arr_delay": Kind.WHOLE, "dep_delay": Kind.WHOLE}).node.kind.value
    'whole number'
    """
    if len(text) > MAX_TEXT:
        raise ExpressionInvalid(f"it has {len(text)} characters, at most {MAX_TEXT} are allowed")
    parser = _Parser(_tokens(text), kinds)
    node = parser.disjunction()
    parser.end()
    expression = Expression(" ".join(text.split()), node)
    if not expression.fields:
        raise ExpressionInvalid("it names no field of the record")
    return expression


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or text[match.start("symbol") :].startswith("--"):
            rest = text[place:].lstrip()
            raise ExpressionInvalid(f'cannot read "{rest[:20]}" at character {len(text) - len(rest) + 1}')
        kind = str(match.lastgroup)
        value = match[kind]
        if kind == "word" and (value.lower() in _KEYWORDS or value.lower() in FUNCTIONS):
            kind, value = "keyword", value.lower()
        found.append(_Token(kind, value, match.start(match.lastgroup or 0) + 1))
        place = match.end()
    return [*found, _Token("end", "the end", len(text) + 1)]


class _Parser:
    """Recursive descent, loosest first: or, and, not, comparison, sum, product, sign, atom."""

    def __init__(self, tokens: list[_Token], kinds: Mapping[str, Kind]) -> None:
        self._tokens = tokens
        self._kinds = kinds
        self._next = 0
        self._depth = 0

    def disjunction(self) -> Node:
        return self._chain("or", self._conjunction)

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected()

    def _conjunction(self) -> Node:
        return self._chain("and", self._negation)

    def _chain(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return Call(word, tuple(_boolean(node, word) for node in parts), Kind.BOOLEAN)

    def _negation(self) -> Node:
        if self._take("not"):
            with_depth = self._deeper(self._negation)
            return Call("not", (_boolean(with_depth, "not"),), Kind.BOOLEAN)
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._sum()
        if self._take("is"):
            negated = self._take("not")
            self._expect("null")
            return Call("is not null" if negated else "is null", (left,), Kind.BOOLEAN)
        if self._ahead("not", "in") or self._ahead("not", "between"):
            self._take("not")
            return Call("not", (self._membership(left),), Kind.BOOLEAN)
        if self._token.text in {"in", "between"} and self._token.kind == "keyword":
            return self._membership(left)
        if self._token.kind == "symbol" and self._token.text in {"=", "==", "<>", "!=", "<", "<=", ">", ">="}:
            symbol = {"==": "=", "!=": "<>"}.get(self._token.text, self._token.text)
            self._next += 1
            return _compare(symbol, left, self._sum())
        return left

    def _membership(self, left: Node) -> Node:
        if self._take("between"):
            low = self._sum()
            self._expect("and")
            return Call("and", (_compare(">=", left, low), _compare("<=", left, self._sum())), Kind.BOOLEAN)
        self._expect("in")
        self._expect("(")
        values = [self._constant()]
        while self._take(","):
            values.append(self._constant())
        self._expect(")")
        for value in values:
            _compare("=", left, value)
        return Call("in", (left, *values), Kind.BOOLEAN)

    def _constant(self) -> Literal:
        place, node = self._token.place, self._sign()
        if not isinstance(node, Literal) or node.value is None:
            raise ExpressionInvalid(f"IN takes constants only, at character {place}")
        return node

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._arithmetic(("*", "/"), self._sign)

    def _arithmetic(self, symbols: tuple[str, str], part: Callable[[], Node]) -> Node:
        node, steps = part(), 0
        while self._token.kind == "symbol" and self._token.text in symbols:
            symbol, steps = self._token.text, steps + 1
            self._next += 1
            if steps > MAX_DEPTH:
                raise ExpressionInvalid(f"it has more than {MAX_DEPTH} terms in a row")
            right = part()
            for side in (node, right):
                _require(side, _NUMBERS, symbol)
            whole = symbol != "/" and node.kind is right.kind is Kind.WHOLE
            node = Call(symbol, (node, right), Kind.WHOLE if whole else Kind.NUMBER)
        return node

    def _sign(self) -> Node:
        if self._take("-"):
            node = self._deeper(self._sign)
            _require(node, _NUMBERS, "-")
            if isinstance(node, Literal) and isinstance(node.value, (int, float)):
                return Literal(-node.value, node.kind)
            return Call("negate", (node,), node.kind)
        return self._atom()

    def _atom(self) -> Node:
        token = self._token
        self._next += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return Literal(token.text[1:-1].replace("''", "'"), Kind.TEXT)
        if token.kind in {"word", "quoted"} or (token.text in {"date", "timestamp"} and self._token.kind != "text"):
            return self._column(token)
        return self._reserved(token)

    def _reserved(self, token: _Token) -> Node:
        if token.text in {"true", "false", "null"}:
            value = {"true": True, "false": False, "null": None}[token.text]
            return Literal(value, Kind.NULL if value is None else Kind.BOOLEAN)
        if token.text in {"date", "timestamp"}:
            return self._moment(token)
        if token.text in FUNCTIONS:
            return self._function(token)
        if token.text == "(":
            node = self._deeper(self.disjunction)
            self._expect(")")
            return node
        self._next -= 1
        raise self._unexpected()

    def _column(self, token: _Token) -> Column:
        if token.text not in self._kinds:
            called = f'function "{token.text}" is not one of {", ".join(sorted(FUNCTIONS))}'
            unknown = f'"{token.text}" is not a field of this contract'
            raise ExpressionInvalid(f"{called if self._token.text == '(' else unknown} (character {token.place})")
        return Column(token.text, self._kinds[token.text])

    def _moment(self, token: _Token) -> Literal:
        text = self._token.text[1:-1]
        self._next += 1
        try:
            if token.text == "date":
                return Literal(date.fromisoformat(text), Kind.DATE)
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ExpressionInvalid(f"{token.text} '{text}' is not in ISO 8601 (character {token.place})") from error
        if moment.tzinfo is None:
            raise ExpressionInvalid(f"timestamp '{text}' needs a zone: write '{text}Z' (character {token.place})")
        return Literal(moment.astimezone(UTC), Kind.TIMESTAMP)

    def _function(self, token: _Token) -> Node:
        if token.text in self._kinds and self._token.text != "(":
            return Column(token.text, self._kinds[token.text])
        self._expect("(")
        arguments = [self._deeper(self.disjunction)]
        while self._take(","):
            arguments.append(self._deeper(self.disjunction))
        self._expect(")")
        return _call(token.text, arguments)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionInvalid(f"it is nested deeper than {MAX_DEPTH} levels")
        node = part()
        self._depth -= 1
        return node

    def _ahead(self, *words: str) -> bool:
        tokens = self._tokens[self._next : self._next + len(words)]
        return [token.text for token in tokens if token.kind == "keyword"] == list(words)

    def _take(self, word: str) -> bool:
        taken = self._token.text == word and self._token.kind in {"keyword", "symbol"}
        self._next += taken
        return taken

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected(f', expected "{word.upper()}"')

    def _unexpected(self, expected: str = "") -> ExpressionInvalid:
        return ExpressionInvalid(f'cannot go on at "{self._token.text}" (character {self._token.place}){expected}')


def _number(token: _Token) -> Literal:
    if token.text.isdigit():
        value = int(token.text)
        if value > _INT64_MAX:
            raise ExpressionInvalid(f"{token.text} does not fit 64 bits (character {token.place})")
        return Literal(value, Kind.WHOLE)
    return Literal(float(token.text), Kind.NUMBER)


def _boolean(node: Node, word: str) -> Node:
    _require(node, frozenset({Kind.BOOLEAN}), word.upper())
    return node


def _require(node: Node, kinds: frozenset[Kind], function: str) -> None:
    if node.kind not in kinds and node.kind is not Kind.NULL:
        raise ExpressionInvalid(f"{function} takes {' or '.join(sorted(kinds))}, not {_shown(node)}")


def _compare(symbol: str, left: Node, right: Node) -> Node:
    same = left.kind is right.kind or {left.kind, right.kind} <= _NUMBERS
    if Kind.NULL in {left.kind, right.kind}:
        raise ExpressionInvalid(f"{symbol} NULL is never true: write IS NULL or IS NOT NULL")
    if not same:
        hint = ""
        for side, other in ((left, right), (right, left)):
            if isinstance(side, Literal) and side.kind is Kind.TEXT and other.kind in {Kind.DATE, Kind.TIMESTAMP}:
                hint = f": write {other.kind.upper()} '{side.value}'"
        raise ExpressionInvalid(f"{symbol} cannot compare {_shown(left)} with {_shown(right)}{hint}")
    if symbol not in {"=", "<>"} and left.kind not in _ORDERED:
        raise ExpressionInvalid(f"{symbol} needs an order, {_shown(left)} has none")
    return Call(symbol, (left, right), Kind.BOOLEAN)


def _call(function: str, arguments: list[Node]) -> Node:
    if function == "coalesce":
        if len(arguments) < 2:
            raise ExpressionInvalid("coalesce takes two arguments or more")
        for other in arguments[1:]:
            _compare("=", arguments[0], other)
        kinds = {argument.kind for argument in arguments}
        return Call(function, tuple(arguments), Kind.NUMBER if len(kinds) > 1 else arguments[0].kind)
    if len(arguments) != 1:
        raise ExpressionInvalid(f"{function} takes one argument")
    _require(arguments[0], _NUMBERS if function == "abs" else frozenset({Kind.TEXT}), function)
    kind = {"abs": arguments[0].kind, "length": Kind.WHOLE}.get(function, Kind.TEXT)
    return Call(function, tuple(arguments), kind)


def _shown(node: Node) -> str:
    if isinstance(node, Column):
        return f'field "{node.name}" ({node.kind})'
    return f"a {node.kind}"
