"""Which stored rows a finding is about, as a condition in SQL, for checks whose figure is no plain count of rows. Pure.

A condition of a check that counts rows comes from the check itself (`segment_sql.row_condition`). The ones here hold in
one window only: a key is repeated there, a run is too long there, values are beyond what came before it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.record import FieldType
from headrace.schemas.sql_text import identifier, literal, table_name
from headrace.stream_processors.checks.pii_leak import PATTERNS
from headrace.stream_processors.steps.segment_sql import event_column

USUAL: Final = (0.05, 0.95)
"""Quantiles of what came before: what is beyond them is what a drift is looked for in."""
_NUMBERS: Final = frozenset({Kind.NUMBER, Kind.WHOLE})
_MICROS: Final = 1_000_000


def own_condition(contract: Contract, rule: CheckRule, where: str) -> str:
    """Return the condition of a check that needs no figures first, "" for any other; `where` holds for the window."""
    made = _OWN.get(rule.check)
    return made(contract, rule, where) if made else ""


def _repeated(contract: Contract, rule: CheckRule, where: str) -> str:
    names = ", ".join(identifier(name) for name in rule.fields)
    table = table_name(contract.dataset)
    return f"({names}) IN (SELECT {names} FROM {table} WHERE {where} GROUP BY {names} HAVING count() > 1)"  # noqa: S608


def _personal(_contract: Contract, rule: CheckRule, _where: str) -> str:
    wanted = [text for name, text in PATTERNS.items() if name in rule.parameters.get("detectors", PATTERNS)]
    parts = [f"match({identifier(name)}, {literal(text)})" for name in texts_of(rule) for text in wanted]
    return " OR ".join(parts)


def texts_of(rule: CheckRule) -> tuple[str, ...]:
    """Return the fields in which a rule looks for personal data."""
    texts = rule.fields or tuple(name for name, kind in rule.types.items() if kind is FieldType.STRING)
    return tuple(name for name in texts if name not in rule.parameters.get("tagged", ()))


def _heaped(contract: Contract, rule: CheckRule, _where: str) -> str:
    kinds = {one.name: KIND_OF[one.type.type] for one in contract.fields}
    if kinds.get(rule.fields[0]) not in _NUMBERS:
        return ""
    scaled = f"round({identifier(rule.fields[0])} * {10 ** int(rule.parameters.get('decimals', 0)):d})"
    return f"isNotNull({identifier(rule.fields[0])}) AND {scaled} % 5 = 0"


def _beyond(_contract: Contract, rule: CheckRule, _where: str) -> str:
    return _outside(identifier(rule.fields[0]), rule)


def _delayed(contract: Contract, rule: CheckRule, _where: str) -> str:
    return _outside(delay_secs(contract), rule)


def _outside(value: str, rule: CheckRule) -> str:
    bounds = rule.bounds
    parts = [] if bounds is None or bounds.upper is None else [f"{value} > {bounds.upper!r}"]
    parts += [] if bounds is None or bounds.lower is None else [f"{value} < {bounds.lower!r}"]
    return " OR ".join(parts)


def delay_secs(contract: Contract) -> str:
    """Return the seconds from event to arrival."""
    event = f"toUnixTimestamp64Micro(toDateTime64({event_column(contract)}, 6, 'UTC'))"
    return f"(toUnixTimestamp64Micro(toDateTime64(`_ingested_at`, 6, 'UTC')) - {event}) / {_MICROS}"


def _disordered(contract: Contract, rule: CheckRule, where: str) -> str:
    names = [identifier(name) for name in ("_file", *rule.parameters.get("key", ()))]
    moment = f"toUnixTimestamp64Micro(toDateTime64({event_column(contract)}, 6, 'UTC'))"
    limit = round(float(rule.parameters.get("tolerance_secs", 0.0)) * _MICROS)
    latest = f"max({moment}) OVER (PARTITION BY {', '.join(names)} ORDER BY `_row`)"
    rows = f"SELECT `_file`, `_row`, {latest} - {moment} AS behind FROM {table_name(contract.dataset)} WHERE {where}"  # noqa: S608
    return f"(`_file`, `_row`) IN (SELECT `_file`, `_row` FROM ({rows}) WHERE behind > {limit:d})"  # noqa: S608


def stuck_query(contract: Contract, rule: CheckRule, where: str) -> str:
    """Return the query for (key values, longest run) of the instruments that repeat a value for too long."""
    names = [f"ifNull(toString({identifier(name)}), '')" for name in rule.parameters.get("key", ())]
    values = f"arrayMap(x -> x.3, arraySort(groupArray((`_file`, `_row`, {identifier(rule.fields[0])}))))"
    changes = "arrayMap((x, n) -> n = 1 OR x != series[n - 1], series, arrayEnumerate(series))"
    longest = f"arrayMax(arrayMap(x -> length(x), arraySplit((x, y) -> y, series, {changes})))"
    return (
        f"SELECT [{', '.join(names)}] AS keys, {values} AS series, {longest} AS longest "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE {where} AND isNotNull({identifier(rule.fields[0])}) "
        f"GROUP BY keys HAVING longest > {int(rule.parameters['longest']):d} ORDER BY longest DESC, keys LIMIT 200"
    )


def keyed_condition(names: Sequence[str], keys: Sequence[Sequence[str]]) -> str:
    """Return the condition for rows of some instruments; of a rule without keys that is every row."""
    if not keys:
        return ""
    if not names:
        return "true"
    parts = ", ".join(f"ifNull(toString({identifier(name)}), '')" for name in names)
    listed = ", ".join(f"({', '.join(literal(value) for value in key)})" for key in keys)
    return f"({parts}) IN ({listed})"


def quantiles_query(contract: Contract, name: str, where: str, shares: Sequence[float]) -> str:
    """Return the query for quantiles of a number field and how many values there are."""
    listed = ", ".join(f"{share:g}" for share in shares)
    return (
        f"SELECT quantiles({listed})(toFloat64({identifier(name)})), count({identifier(name)}) "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE {where} AND isNotNull({identifier(name)})"
    )


def moved_condition(name: str, old: float, new: float) -> str:
    """Return the condition for values nearer to where the middle now is than to where it was."""
    return f"abs({identifier(name)} - {new!r}) < abs({identifier(name)} - {old!r})"


def outside_condition(name: str, low: float, high: float) -> str:
    """Return the condition for values beyond what came before."""
    return f"({identifier(name)} < {low!r} OR {identifier(name)} > {high!r})"


def grown_query(contract: Contract, name: str, window: str, before: str) -> str:
    """Return the query for (value, rows in the window, rows before, all of each), the most frequent first."""
    value = identifier(name)
    return (
        f"SELECT toString({value}) AS value, countIf({window}) AS now, countIf({before}) AS earlier, "  # noqa: S608
        "sum(now) OVER () AS all_now, sum(earlier) OVER () AS all_earlier "
        f"FROM {table_name(contract.dataset)} WHERE ({window} OR {before}) AND isNotNull({value}) "
        "GROUP BY value ORDER BY now DESC, value LIMIT 500"
    )


def grown_condition(name: str, found: Sequence[tuple[str, int, int, int, int]]) -> str:
    """Return the condition for categories with half as much again of their share, and a percent of the window more."""
    grown = [
        value
        for value, now, earlier, all_now, all_earlier in found
        if now / max(all_now, 1) > 1.5 * earlier / max(all_earlier, 1) + 0.01
    ]
    listed = ", ".join(literal(value) for value in grown)
    return f"toString({identifier(name)}) IN ({listed})" if grown else ""


_OWN: Final[Mapping[str, Callable[[Contract, CheckRule, str], str]]] = {
    "duplicate_key": _repeated,
    "pii_leak": _personal,
    "dominance_heaping": _heaped,
    "quantile_bounds": _beyond,
    "arrival_delay": _delayed,
    "out_of_order": _disordered,
}
