"""What the warehouse is asked to tell one source from the others. Pure; names go through `identifier`."""

from collections.abc import Sequence

from headrace.schemas.contract import Contract
from headrace.schemas.sql_text import identifier, literal, table_name
from headrace.stream_processors.steps.row_conditions import delay_secs

MOST_SOURCES = 2_000


def late_hours_query(contract: Contract) -> str:
    """Return the query for (hour of arrival, late rows, days on which they came); late is beyond what windows wait."""
    allowed = contract.window.size_secs + contract.window.lateness_secs
    return (
        "SELECT toHour(`_ingested_at`) AS hour, count() AS late, uniqExact(toDate(`_ingested_at`)) AS days "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE {delay_secs(contract)} > {allowed:d} GROUP BY hour ORDER BY hour"
    )


def sources_query(contract: Contract, figure: str, columns: Sequence[str], shares: Sequence[float]) -> str:
    """Return the query for (column, value, rows, quantiles of a figure) of each source.

    Each column is grouped by itself: to take the rows apart by all of them at once costs three times as much.
    """
    listed, table = ", ".join(f"{share:g}" for share in shares), table_name(contract.dataset)
    # A field may be called value or rows, but none has a space in its name: an alias would stand before it.
    each = " UNION ALL ".join(
        f"SELECT {literal(name)} AS `a column`, ifNull(toString({identifier(name)}), '') AS `a value`, "  # noqa: S608
        f"count() AS `its rows`, quantiles({listed})(toFloat64({figure})) AS `its shares` "
        f"FROM {table} WHERE isNotNull({figure}) GROUP BY `a value`"
        for name in columns
    )
    return (
        f"SELECT `a column` AS column, `a value` AS value, `its rows`, `its shares` FROM ({each}) "  # noqa: S608
        f"ORDER BY column, value LIMIT {MOST_SOURCES:d}"
    )


def twins_query(contract: Contract, keys: Sequence[str]) -> str:
    """Return the query for (file, other file, rows) of files with one set of keys; ids where names are not known."""
    names = ", ".join(map(identifier, keys))
    whole = " AND ".join(f"isNotNull({identifier(name)})" for name in keys)
    sets = (
        f"SELECT `_file` AS file, groupBitXor(sipHash64({names})) AS print, uniqExact({names}) AS keys "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE {whole} GROUP BY file HAVING keys >= 5"
    )
    named = (
        f"SELECT file, argMax(name, updated_at) AS name FROM headrace.files "  # noqa: S608
        f"WHERE dataset = {literal(contract.dataset)} AND state != 'skipped' GROUP BY file"
    )
    known = (
        "SELECT if(named.name = '', sets.file, named.name) AS name, sets.print AS print, sets.keys AS keys "  # noqa: S608
        f"FROM ({sets}) AS sets LEFT JOIN ({named}) AS named ON named.file = sets.file"
    )
    return (
        f"SELECT arraySort(groupArray(name))[1] AS first, arraySort(groupArray(name))[2] AS other, any(keys) AS rows "  # noqa: S608
        f"FROM ({known}) GROUP BY print, keys HAVING count() > 1 ORDER BY rows DESC, first LIMIT 20"
    )
