"""Row rules as polars expressions, with the meaning that `headrace.schemas.expression` gives them."""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from headrace.schemas.expression import Call, Column, Kind, Literal, Node

_BINARY: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_UNARY: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "not": lambda value: value.not_(),
    "negate": lambda value: -value,
    "is null": lambda value: value.is_null(),
    "is not null": lambda value: value.is_not_null(),
    "abs": lambda value: value.abs(),
    "length": lambda value: value.str.len_chars().cast(pl.Int64),
    "lower": lambda value: value.str.to_lowercase(),
    "upper": lambda value: value.str.to_uppercase(),
}
_WIDE: Mapping[Kind, Any] = {Kind.WHOLE: pl.Int64, Kind.NUMBER: pl.Float64}


def row_expression(node: Node) -> pl.Expr:
    """Return the polars expression of a parsed row rule: true, false, or null where it cannot be known."""
    if isinstance(node, Column):
        column = pl.col(node.name)
        if node.kind in _WIDE:
            column = column.cast(_WIDE[node.kind])
        return column.fill_nan(None) if node.kind is Kind.NUMBER else column
    if isinstance(node, Literal):
        return _literal(node)
    return _call(node)


def _literal(node: Literal) -> pl.Expr:
    if node.kind is Kind.TIMESTAMP:
        return pl.lit(_naive(node.value), dtype=pl.Datetime("us"))
    return pl.lit(node.value, dtype=_WIDE.get(node.kind))


def _naive(value: object) -> object:
    """Return a UTC moment as records have it, which is without a zone."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _call(node: Call) -> pl.Expr:
    arguments = [row_expression(argument) for argument in node.arguments]
    if node.kind is Kind.NUMBER or _mixed(node):
        arguments = [
            value.cast(pl.Float64) if argument.kind is Kind.WHOLE else value
            for value, argument in zip(arguments, node.arguments, strict=True)
        ]
    if node.function in _UNARY:
        return _UNARY[node.function](arguments[0])
    if node.function in _BINARY:
        return _BINARY[node.function](arguments[0], arguments[1])
    if node.function == "/":
        left, right = (value.cast(pl.Float64) for value in arguments)
        return pl.when(right != 0).then(left / right)
    if node.function == "coalesce":
        return pl.coalesce(arguments)
    return _combined(node, arguments)


def _combined(node: Call, arguments: list[pl.Expr]) -> pl.Expr:
    if node.function == "and":
        return pl.all_horizontal(arguments)
    if node.function == "or":
        return pl.any_horizontal(arguments)
    values = [_naive(argument.value) for argument in node.arguments[1:] if isinstance(argument, Literal)]
    if _mixed(node):
        values = [float(value) if isinstance(value, int) else value for value in values]
    return arguments[0].is_in(values)


def _mixed(node: Call) -> bool:
    """Return True if whole numbers and fractions meet, which are then compared as fractions."""
    return {Kind.WHOLE, Kind.NUMBER} <= {argument.kind for argument in node.arguments}
