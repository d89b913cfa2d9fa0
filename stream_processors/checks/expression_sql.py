"""Row rules as ClickHouse expressions, with the meaning that `headrace.schemas.expression` gives them."""

from collections.abc import Mapping

from headrace.schemas.expression import Call, Column, Kind, Literal, Node
from headrace.schemas.sql_text import identifier, value_text

_SYMBOLS = frozenset({"=", "<>", "<", "<=", ">", ">=", "+", "-", "*"})
# {0} and {1} are arguments. IN itself says false, not null, for a missing value; / gives infinity, not null, for 0.
_SHAPES: Mapping[str, str] = {
    "not": "not({0})",
    "negate": "negate({0})",
    "is null": "isNull({0})",
    "is not null": "isNotNull({0})",
    "length": "toInt64(lengthUTF8({0}))",
    "lower": "lowerUTF8({0})",
    "upper": "upperUTF8({0})",
    "/": "if({1} != 0, {0} / {1}, NULL)",
}


def expression_sql(node: Node) -> str:
    """Return the ClickHouse expression of a parsed row rule: true, false or null as `row_expression` gives them."""
    if isinstance(node, Column):
        return _column(node)
    return value_text(node.value) if isinstance(node, Literal) else _call(node)


def _column(node: Column) -> str:
    name = identifier(node.name)
    if node.kind is Kind.WHOLE:
        return f"toInt64({name})"
    if node.kind is Kind.NUMBER:
        return f"if(isNaN(toFloat64({name})), NULL, toFloat64({name}))"
    return name


def _call(node: Call) -> str:
    mixed = {Kind.WHOLE, Kind.NUMBER} <= {argument.kind for argument in node.arguments}
    wide = node.kind is Kind.NUMBER or mixed or node.function == "/"
    given = [
        f"toFloat64({expression_sql(argument)})" if wide and argument.kind is Kind.WHOLE else expression_sql(argument)
        for argument in node.arguments
    ]
    if node.function in _SHAPES:
        return _SHAPES[node.function].format(*given)
    if node.function in _SYMBOLS:
        return f"({given[0]} {node.function} {given[1]})"
    if node.function == "in":
        return f"if(isNull({given[0]}), NULL, {given[0]} IN ({', '.join(given[1:])}))"
    if node.function == "abs":
        return f"abs({given[0]})" if node.kind is Kind.NUMBER else f"toInt64(abs({given[0]}))"
    if node.function == "coalesce":
        return f"coalesce({', '.join(given)})"
    return f"({f' {node.function} '.join(given)})"
