"""Event time and arrival time, as checks of the two clocks read them: in the stream and in the warehouse."""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import (
    ARRIVED,
    EVENT,
    Parameters,
    Verdict,
    View,
    not_checked,
    share_verdict,
)

MICROS: Final = 1_000_000
MOMENTS: Final = (Kind.TIMESTAMP, Kind.DATE)
ARRIVED_SQL: Final = "toUnixTimestamp64Micro(toDateTime64(`_ingested_at`, 6, 'UTC'))"


class TimeParameters(Parameters):
    """Parameters of a check on event time."""

    field: str = Field(
        default="", description="Timestamp or date of the event; by default the rule's field, else the window's."
    )


def time_field(rule: CheckRule) -> str:
    """Return the column of event time: the parameter `field`, the rule's first field, or the window's."""
    return str(rule.parameters.get("field") or (rule.fields[0] if rule.fields else EVENT))


def time_name(rule: CheckRule) -> str:
    """Return how sentences call event time."""
    name = time_field(rule)
    return "event time" if name == EVENT else name


def micros_of(name: str) -> pl.Expr:
    """Return a timestamp or date in microseconds since 1970."""
    return pl.col(name).cast(pl.Datetime("us")).cast(pl.Int64)


def micros_sql(name: str) -> str:
    """Return `micros_of` in ClickHouse."""
    return f"toUnixTimestamp64Micro(toDateTime64({identifier(name)}, 6, 'UTC'))"


def delay_micros(rule: CheckRule) -> pl.Expr:
    """Return arrival less event time, in microseconds; null without event time."""
    return pl.col(ARRIVED) - micros_of(time_field(rule))


def delay_sql(rule: CheckRule) -> str:
    """Return `delay_micros` in ClickHouse."""
    return f"({ARRIVED_SQL} - {micros_sql(time_field(rule))})"


def time_problem(rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
    """Return why the rule's event time cannot be one, "" if it can."""
    name = time_field(rule)
    return "" if name == EVENT else names_problem([name], kinds, MOMENTS)


def names_problem(names: Iterable[str], kinds: Mapping[str, Kind], allowed: Iterable[Kind] = tuple(Kind)) -> str:
    """Return what is wrong with fields that a rule or its parameters name, "" if nothing is.

    >>> names_problem(["carrier"], {"carrier": Kind.TEXT}, [Kind.WHOLE, Kind.DATE])
    'field "carrier" is a text, it takes date or whole number'
    """
    wanted = tuple(allowed)
    for name in names:
        if name not in kinds:
            return f'field "{name}" is not in the contract'
        if kinds[name] not in wanted:
            return f'field "{name}" is a {kinds[name]}, it takes {" or ".join(sorted(wanted))}'
    return ""


def bounds_problem(rule: CheckRule) -> str:
    """Return that a bound is missing, "" if the rule has one."""
    return "" if rule.bounds else f"{rule.check} needs a bound, e.g. mustBeLessThan"


def key_text(fields: Iterable[str]) -> pl.Expr:
    """Return the values of key fields as one text, e.g. `JFK / 2013-01-01`; null where one of them is missing."""
    return pl.concat_str([pl.col(name).cast(pl.String) for name in fields], separator=" / ")


def timed_verdict(rule: CheckRule, view: View, what: str) -> Verdict:
    """Return the verdict on `failed` of the records with an event time, `timed`; not checked where there is none."""
    timed = view.counts.get("timed", 0)
    if not timed:
        return not_checked(f"no record has {time_name(rule)}" if view.rows else "no rows", view.rows)
    return share_verdict(rule, view.counts.get("failed", 0), timed, what)
