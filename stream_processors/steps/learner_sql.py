"""The questions to the warehouse behind a learner's findings: which rows it flagged, and on which it lost most. Pure.

Of a row that several versions of a learner predicted, the newest word counts. A loss is the champion's, as the learner
counts it: the absolute error of a number, the log loss of a class.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from headrace.schemas.contract import Contract
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.sql_text import identifier, literal, table_name
from headrace.stream_processors.checks.expression_sql import expression_sql
from headrace.stream_processors.steps.segment_sql import MISSING, time_parts

USUALLY_ABOVE: Final = 0.05
"""Rows are looked at that lost more than all but this share of earlier rows did."""
_PLACE: Final = "(`_file`, `_row`)"
_LEAST_CHANCE: Final = 1e-15


def told_between(learner: str, since: int, until: int) -> str:
    """Return the condition for rows that a learner predicted in a time (microseconds): a window of arrival for it."""
    moment = "toUnixTimestamp64Micro(toDateTime64(`_ingested_at`, 6, 'UTC'))"
    rows = f"SELECT assumeNotNull(`_file`), assumeNotNull(`_row`) FROM headrace.predictions WHERE {_by(learner)}"  # noqa: S608
    return f"{_PLACE} IN ({rows} AND {moment} >= {since:d} AND {moment} < {until:d})"


def predicted_condition(contract: Contract, learner: str, where: str) -> str:
    """Return the condition for rows that a learner has predicted; `where` holds for the window."""
    return f"{_PLACE} IN (SELECT f, r FROM ({_said(contract, learner, where)}))"  # noqa: S608


def anomalous_condition(contract: Contract, learner: str, where: str) -> str:
    """Return the condition for rows that a learner called anomalous."""
    return f"{_PLACE} IN (SELECT f, r FROM ({_said(contract, learner, where)}) WHERE ifNull(said.1, false))"  # noqa: S608


def _by(learner: str) -> str:
    return f"learner = {literal(learner)} AND isNotNull(`_file`)"


def _said(contract: Contract, learner: str, where: str) -> str:
    files = f"SELECT `_file` FROM {table_name(contract.dataset)} WHERE {where}"  # noqa: S608
    return (
        "SELECT assumeNotNull(`_file`) AS f, assumeNotNull(`_row`) AS r, "  # noqa: S608
        "argMax((anomalous, value, label, probability), `_offset`) AS said "
        f"FROM headrace.predictions WHERE {_by(learner)} AND assumeNotNull(`_file`) IN ({files}) GROUP BY f, r"
    )


def losses_query(contract: Contract, spec: LearnerSpec, where: str, shown: str = "true") -> str:
    """Return the query for (file, row, loss, whether `shown` holds) of rows whose label is known.

    It is empty for a learner that is judged by no label. Labels of another dataset are looked up in its table, which
    must be there: the first that came for a key is the one that was learned.
    """
    if spec.label is None:
        return ""
    label = expression_sql(spec.label.node)
    told = f"{identifier('_file')}, {identifier('_row')}, ifNull({shown}, false) AS shown"
    table = table_name(contract.dataset)
    if spec.late is None:
        rows = f"SELECT {told}, {label} AS label FROM {table} WHERE {where}"  # noqa: S608
    else:
        own, theirs = zip(*spec.late.keys, strict=True)
        equal = " AND ".join(f"own.k{n} = theirs.k{n}" for n in range(len(own)))
        rows = (
            f"SELECT own.`_file` AS `_file`, own.`_row` AS `_row`, own.shown AS shown, theirs.label AS label "  # noqa: S608
            f"FROM (SELECT {told}, {_keys(own)} FROM {table} WHERE {where}) AS own INNER JOIN "
            f"(SELECT {_keys(theirs)}, argMin({label}, (`_ingested_at`, `_offset`)) AS label "
            f"FROM {table_name(spec.late.dataset)} WHERE isNotNull({label}) GROUP BY {_names(theirs)}) AS theirs "
            f"ON {equal}"
        )
    return (
        f"SELECT rows.`_file` AS f, rows.`_row` AS r, {_LOSSES.get(spec.label_kind, _OF_CLASS)} AS loss, "  # noqa: S608
        f"rows.shown AS shown FROM ({rows}) AS rows INNER JOIN ({_said(contract, spec.name, where)}) AS told "
        "ON rows.`_file` = told.f AND rows.`_row` = told.r WHERE isNotNull(rows.label)"
    )


def table_query(dataset: str) -> str:
    """Return the query for how many tables a dataset has: 0 before its first rows."""
    return f"SELECT count() FROM system.tables WHERE database = 'headrace' AND name = {literal(dataset)}"  # noqa: S608


def _keys(fields: Sequence[str]) -> str:
    return ", ".join(f"{identifier(name)} AS k{n}" for n, name in enumerate(fields))


def _names(fields: Sequence[str]) -> str:
    return ", ".join(f"k{n}" for n in range(len(fields)))


_OF_NUMBER: Final = "abs(toFloat64(rows.label) - ifNull(told.said.2, 0))"
_OF_TRUTH: Final = (
    f"-log(greatest(if(rows.label, ifNull(told.said.2, 0), 1 - ifNull(told.said.2, 1)), {_LEAST_CHANCE}))"
)
_RIGHT: Final = "toString(rows.label) = ifNull(told.said.3, '')"
# Of several classes the likeliest one's probability is stored: the others share what it leaves.
_OF_CLASS: Final = f"-log(greatest(if({_RIGHT}, ifNull(told.said.4, 0), 1 - ifNull(told.said.4, 1)), {_LEAST_CHANCE}))"
_LOSSES: Final[Mapping[Kind | None, str]] = {
    Kind.NUMBER: _OF_NUMBER,
    Kind.WHOLE: _OF_NUMBER,
    Kind.BOOLEAN: _OF_TRUTH,
}


def usual_query(losses: str) -> str:
    """Return the query for (mean loss, the loss that few rows are above, rows) of `losses_query`."""
    return f"SELECT avg(loss), quantile({1 - USUALLY_ABOVE:g})(loss), count() FROM ({losses})"  # noqa: S608


def parts_query(losses: str) -> str:
    """Return the query for (mean, standard deviation, number) of losses where `shown` holds, then of the others."""
    figures = ", ".join(
        f"ifNotFinite(avgIf(loss, {which}), 0), ifNotFinite(stddevPopIf(loss, {which}), 0), countIf({which})"
        for which in ("shown", "NOT shown")
    )
    return f"SELECT {figures} FROM ({losses})"  # noqa: S608


def lossy_condition(losses: str, above: float) -> str:
    """Return the condition for rows that lost more than a bound."""
    return f"{_PLACE} IN (SELECT f, r FROM ({losses}) WHERE loss > {above!r})"  # noqa: S608


def worst_query(losses: str, most: int) -> str:
    """Return the query for (file, row) of the rows that lost most."""
    return f"SELECT f, r FROM ({losses}) ORDER BY loss DESC, f, r LIMIT {most:d}"  # noqa: S608


def in_segment(contract: Contract, parts: Mapping[str, str]) -> str:
    """Return the condition for rows of a segment, whose values are as `segment_query` shows them."""
    times = dict(time_parts(contract))
    shown = {name: f"substring(toString({times.get(name) or identifier(name)}), 1, 64)" for name in parts}
    return " AND ".join(
        f"ifNull({shown[name]}, {literal(MISSING)}) = {literal(value)}" for name, value in parts.items()
    )
