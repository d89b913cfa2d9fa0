"""The questions to the warehouse's rows behind a finding: where it is, what is missing with it, rows to look at. Pure.

Every name goes through `identifier`, every value that comes from data through a query parameter.
"""

from collections.abc import Sequence

from headrace.schemas.contract import Contract
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.record import FieldType
from headrace.schemas.sql_text import identifier, literal, table_name

MOST_VALUES = 200
MISSING = "(missing)"
# Parts of a time that is there as a whole: they would name the same days a second time.
TIME_WORDS = frozenset({"year", "quarter", "month", "week", "day", "weekday", "hour", "minute", "second"})
_SEGMENTING = frozenset({Kind.TEXT, Kind.WHOLE, Kind.BOOLEAN})
_PREFIX, _SUFFIX = "countIf(", ")"


def row_condition(figure: str) -> str:
    """Return the condition of a figure `countIf(condition)`, "" if the figure is not one.

    >>> row_condition("countIf(isNull(`a`))"), row_condition("count()")
    ('isNull(`a`)', '')
    """
    if not figure.startswith(_PREFIX) or not figure.endswith(_SUFFIX):
        return ""
    inner, depth = figure[len(_PREFIX) : -len(_SUFFIX)], 0
    for letter in inner:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return ""
    return inner


def candidates(contract: Contract, without: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the fields whose values may name a segment: text, whole numbers and booleans that are not personal."""
    left_out = {*without, *(TIME_WORDS if contract.window.time_field else ())}
    return tuple(
        field.name
        for field in contract.fields
        if KIND_OF[field.type.type] in _SEGMENTING and field.name not in left_out and not field.personal
    )


def few_values_query(contract: Contract, names: Sequence[str], where: str) -> str:
    """Return the query for about how many values each field has."""
    counts = ", ".join(f"uniq({identifier(name)})" for name in names)
    return f"{_event(contract)} SELECT {counts} FROM {table_name(contract.dataset)} WHERE {where}"  # noqa: S608


def event_column(contract: Contract) -> str:
    """Return the column that holds event time; a dataset without one goes by arrival."""
    return identifier(contract.window.time_field) if contract.window.time_field else "`_ingested_at`"


def _event(contract: Contract) -> str:
    return f"WITH {event_column(contract)} AS `_event`"


def between(contract: Contract, since: int, until: int, *, arrival: bool = False) -> str:
    """Return the condition for times from `since` to before `until`, in microseconds: of the event or of arrival."""
    column = "`_ingested_at`" if arrival else event_column(contract)
    moment = f"toUnixTimestamp64Micro(toDateTime64({column}, 6, 'UTC'))"
    return f"({moment} >= {since:d} AND {moment} < {until:d})"


def segment_query(contract: Contract, condition: str, columns: Sequence[tuple[str, ...]], where: str) -> str:
    """Return the query for (column or columns, values, rows with the problem, rows) of each segment.

    `columns` are single fields or pairs; a time part is one of `time_parts`. The rows are read once.
    """
    parts = dict(time_parts(contract))
    arrays = ", ".join(
        f"({literal(' '.join(names))}, [{', '.join(_text(parts.get(name) or identifier(name)) for name in names)}])"
        for names in columns
    )
    rows = (
        f"SELECT ifNull({condition}, false) AS bad, [{arrays}] AS segments "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE {where}"
    )
    return (
        f"{_event(contract)} SELECT segment.1 AS names, segment.2 AS texts, countIf(bad) AS failed, count() AS total "  # noqa: S608
        f"FROM ({rows}) ARRAY JOIN segments AS segment GROUP BY names, texts HAVING failed > 0 "
        "ORDER BY failed DESC, names, texts LIMIT 2000"
    )


def time_parts(contract: Contract) -> tuple[tuple[str, str], ...]:
    """Return the parts of event time that may name a segment, each with its expression; none without event time."""
    if not contract.window.time_field:
        return ()
    moment = event_column(contract)
    is_date = any(
        field.name == contract.window.time_field and field.type.type is FieldType.DATE for field in contract.fields
    )
    day = (("date", f"toDate({moment})"), ("weekday", f"dateName('weekday', {moment})"))
    return day if is_date else (*day, ("hour_of_day", f"toHour({moment})"))


def _text(expression: str) -> str:
    return f"ifNull(substring(toString({expression}), 1, 64), {literal(MISSING)})"


def totals_query(contract: Contract, condition: str, where: str) -> str:
    """Return the query for (rows with the problem, rows)."""
    found = f"countIf(ifNull({condition}, false)), count()"
    return f"{_event(contract)} SELECT {found} FROM {table_name(contract.dataset)} WHERE {where}"  # noqa: S608


def together_query(contract: Contract, condition: str, names: Sequence[str], where: str) -> str:
    """Return the query for the share of the rows with the problem in which each field is missing too."""
    shares = ", ".join(f"avg(isNull({identifier(name)}))" for name in names)
    return (
        f"{_event(contract)} SELECT {shares} FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE {where} AND ifNull({condition}, false)"
    )


def sample_query(contract: Contract, condition: str, where: str, most: int) -> str:
    """Return the query for (file, row) of some rows with the problem."""
    return (
        f"{_event(contract)} SELECT `_file`, `_row` FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE {where} AND ifNull({condition}, false) ORDER BY `_file`, `_row` LIMIT {most:d}"
    )


def files_query(contract: Contract, condition: str, where: str) -> str:
    """Return the query for (file, rows with the problem), the file with most of them first."""
    return (
        f"{_event(contract)} SELECT `_file`, count() AS failed FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE {where} AND ifNull({condition}, false) GROUP BY `_file` ORDER BY failed DESC, `_file` LIMIT 1"
    )


def names_query(dataset: str, files: Sequence[str]) -> str:
    """Return the query for the names of files by their ids."""
    listed = ", ".join(map(literal, ["", *files]))
    return (
        "SELECT file, argMax(name, updated_at) FROM headrace.files "  # noqa: S608
        f"WHERE dataset = {literal(dataset)} AND state != 'skipped' AND file IN ({listed}) GROUP BY file"
    )


def alone_condition(condition: str, partners: Sequence[str]) -> str:
    """Return the condition for rows with the problem in which other fields are not all missing too."""
    return f"({condition}) AND NOT ({' AND '.join(f'isNull({identifier(name)})' for name in partners)})"


def evidence_query(contract: Contract, condition: str, columns: Sequence[str], where: str) -> str:
    """Return the evidence as a query that a person can paste: rows with the problem by the columns of a segment."""
    parts = dict(time_parts(contract))
    names = [f"{parts.get(name) or identifier(name)} AS {identifier('by_' + name.lstrip('_'))}" for name in columns]
    figures = f"countIf(ifNull({condition}, false)) AS concerned, count() AS rows"
    order = f" GROUP BY {', '.join(str(n) for n in range(1, len(names) + 1))} ORDER BY concerned DESC LIMIT 20"
    return (
        f"{_event(contract)} SELECT {', '.join([*names, figures])} FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE {where}{order if names else ''}"
    )
