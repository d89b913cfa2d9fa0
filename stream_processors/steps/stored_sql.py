"""The questions whose answers are the figures of a contract's rules, from the warehouse's rows. Pure.

Every name goes through `identifier`, every value that comes from outside through a query parameter.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract import Contract
from headrace.schemas.record import FieldType
from headrace.schemas.rules import RowRule, Rule
from headrace.schemas.sql_text import identifier, table_name
from headrace.stream_processors.checks.base import EVENT
from headrace.stream_processors.checks.expression_sql import expression_sql
from headrace.stream_processors.checks.row_sql import broken_sql
from headrace.stream_processors.checks.timing import ARRIVED_SQL, MICROS, micros_sql


class Span(StrEnum):
    """What rows are put together by: windows of one of the two clocks, or files."""

    EVENT = "event"
    ARRIVAL = "arrival"
    FILE = "file"


_ESTIMATES: Final = frozenset({"distinct_count", "duplicate_key", "unique_ratio"})
MOST_SPANS: Final = 5_000
# Names with a space in them can be no field's.
_START, _FIGURE = "`start of it`", "`figure {}`"


def figures_query(
    contract: Contract, span: Span, figures: Sequence[str], since: int = 0, source: str = "", files: bool = False
) -> str:
    """Return the query for (window start in seconds or file, rows, figures ...): the newest spans, newest first.

    It takes the parameter {since:Int64}: windows that begin before it, in seconds, are left out; of files those whose
    last row came before it. With `files` it takes {files:Array(String)} too, and is about these alone. `source` is
    where the rows are, by default the dataset's table.
    """
    chosen = [f"{figure} AS {_FIGURE.format(number)}" for number, figure in enumerate(figures)]
    if span is Span.FILE:
        start, order = "`_file`", f"max({ARRIVED_SQL})"
        where = "`_file` IN {files:Array(String)}" if files else "1"
        having = f"HAVING {order} >= {{since:Int64}} * {MICROS}"
    else:
        start, order = _window(_clock_sql(contract.window, span), contract.window.size_secs), _START
        where, having = f"isNotNull({start}) AND {start} >= {{since:Int64}}", ""
    rows = source or table_name(contract.dataset)
    return (
        f"WITH {_event(contract.window)} AS {identifier(EVENT)} "  # noqa: S608 - names are checked and quoted
        f"SELECT {', '.join([f'{start} AS {_START}', 'count()', *chosen])} FROM {rows} "
        f"WHERE {where} GROUP BY {_START} {having} ORDER BY {order} DESC, {_START} DESC LIMIT {MOST_SPANS}"
    )


def differs(rule: CheckRule, span: Span, figures: Mapping[str, str]) -> str:
    """Return why a rule that is evaluated from rows may observe something else than the stream, "" if it may not."""
    if span is Span.ARRIVAL:
        return "a row arrives here when the broker took it as valid or refused, in the stream when it took it as read"
    if any(ARRIVED_SQL in text for text in figures.values()):
        return "arrival is here when the broker took a row as valid or refused, in the stream when it took it as read"
    if rule.check == "reference":
        return "the keys are those of now here, and in the stream those that were known when a row was judged"
    if rule.check in _ESTIMATES:
        return "counted exactly here, and estimated with its error in a window of the stream that has many values"
    return ""


def _event(window: WindowSpec) -> str:
    """Return event time as the checks' SQL names it; null in a dataset that has none."""
    return identifier(window.time_field) if window.time_field else "CAST(NULL, 'Nullable(DateTime64(6, \\'UTC\\'))')"


def _clock_sql(window: WindowSpec, span: Span) -> str:
    return ARRIVED_SQL if span is Span.ARRIVAL else micros_sql(window.time_field or EVENT)


def _window(micros: str, size_secs: int) -> str:
    """Return the start of the window of a moment in microseconds, in whole seconds; before 1970 too."""
    return f"intDiv({micros} - positiveModulo({micros}, {size_secs * MICROS}), {MICROS})"


def broken_rule_sql(rule: Rule, kinds: Mapping[str, FieldType]) -> str:
    """Return the condition that holds for stored rows that break a rule about one record, and is never null."""
    if isinstance(rule.check, RowRule):
        broken = f"not({expression_sql(rule.check.expression.node)})"
    else:
        broken = broken_sql(rule.check, rule.fields[0], kinds[rule.fields[0]])
    return f"ifNull({broken}, false)"


def rules_query(contract: Contract, rules: Sequence[Rule]) -> str:
    """Return the query for (file, rows, rows that break each rule ...) over the stored rows."""
    kinds = {field.name: field.type.type for field in contract.fields}
    counts = [f"countIf({broken_rule_sql(rule, kinds)})" for rule in rules]
    return (
        f"SELECT {', '.join(['`_file`', 'count()', *counts])} FROM {table_name(contract.dataset)} "  # noqa: S608
        "GROUP BY `_file` ORDER BY `_file`"
    )


QUARANTINED_RULES: Final = """
SELECT _file, contract_version, reason.rule AS rule, count() FROM headrace.quarantine ARRAY JOIN reasons AS reason
WHERE dataset = {dataset:String} AND stage = 'judge' GROUP BY _file, contract_version, rule
"""
"""The query for (file, contract version, rule, rows): which rules the rows in quarantine broke."""

QUARANTINED_ROWS: Final = """
SELECT _file, contract_version, count() FROM headrace.quarantine
WHERE dataset = {dataset:String} AND stage = 'judge' GROUP BY _file, contract_version
"""
"""The query for (file, contract version, rows) of the rows that a judge put into quarantine."""

UNREADABLE_ROWS: Final = """
SELECT _file, count() FROM headrace.quarantine
WHERE dataset = {dataset:String} AND stage = 'read' GROUP BY _file
"""
"""The query for (file, rows) of the rows that a reader put aside."""

STORED_STATE: Final = """
SELECT toInt64(intDiv(toUnixTimestamp64Micro(w.start), 1000000)) AS at, revision, contract_version, w.rows AS judged,
    facts, left_out, toUnixTimestamp64Micro(w.closed_at) AS closed, counts,
    arrayMap(c -> [tupleElement(c, 'owner'), tupleElement(c, 'figure'), base64Encode(tupleElement(c, 'data'))],
        arrayFilter(c -> has({owners:Array(String)}, tupleElement(c, 'owner')), cells)) AS packed
FROM headrace.window_entries AS w FINAL
WHERE _deleted = 0 AND dataset = {dataset:String} AND clock = {clock:String}
    AND w.start >= fromUnixTimestamp64Micro({since:Int64} * 1000000)
ORDER BY w.start, revision DESC LIMIT 1 BY w.start
FORMAT JSONEachRow
"""
"""The query for the last revision of each closed window, oldest first, with the cells of the owners asked for."""
