"""What the warehouse is asked about a field's stored values, whatever its contract demands. Pure."""

from headrace.schemas.contract import Contract, ContractField
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import identifier, literal, table_name

MOST_VALUES = 300
_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER})


def figures_query(contract: Contract, field: ContractField) -> str:
    """Return the query for rows, missing, distinct; of numbers also 5 %, 95 %, negative, whole, multiples of 5."""
    name = identifier(field.name)
    figures = f"count(), countIf(isNull({name})), uniq({name})"
    if KIND_OF[field.type.type] in _NUMBERS:
        number = f"toFloat64({name})"
        figures += (
            f", quantile(0.05)({number}), quantile(0.95)({number}), countIf({name} < 0), "
            f"countIf({number} = round({number})), countIf({number} = round({number}) AND {number} % 5 = 0)"
        )
    return f"SELECT {figures} FROM {table_name(contract.dataset)}"  # noqa: S608


def values_query(contract: Contract, field: ContractField, most: int = MOST_VALUES) -> str:
    """Return the query for the most frequent values with their rows; a person can paste it."""
    name = identifier(field.name)
    return (
        f"SELECT toString({name}) AS value, count() AS rows FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE isNotNull({name}) GROUP BY value ORDER BY rows DESC, value LIMIT {most:d}"
    )


def ending_query(contract: Contract, field: ContractField) -> str:
    """Return the query for the rows by last digit of the whole numbers."""
    name = identifier(field.name)
    return (
        f"SELECT abs(toInt64({name})) % 10 AS last_digit, count() AS rows FROM {table_name(contract.dataset)} "  # noqa: S608
        f"WHERE toFloat64({name}) = round(toFloat64({name})) GROUP BY last_digit ORDER BY last_digit"
    )


def missing_query(contract: Contract, field: ContractField) -> str:
    """Return the query for the rows and those in which the field is missing."""
    name = identifier(field.name)
    return f"SELECT count() AS rows, countIf(isNull({name})) AS missing FROM {table_name(contract.dataset)}"  # noqa: S608


def personal_query(contract: Contract, field: ContractField, pattern: str) -> str:
    """Return the query for how many values match a detector; never for which."""
    name = identifier(field.name)
    return (
        f"SELECT countIf(match({name}, {literal(pattern)})) AS hits "  # noqa: S608
        f"FROM {table_name(contract.dataset)} WHERE isNotNull({name})"
    )


def copies_query(dataset: str) -> str:
    """Return the query for files whose bytes came in before, with the name of the first."""
    return (
        f"SELECT name, first_name FROM headrace.files WHERE dataset = {literal(dataset)} "  # noqa: S608
        "AND state = 'skipped' AND reason = 'duplicate_content' ORDER BY updated_at, name LIMIT 20"
    )


def unread_query(dataset: str) -> str:
    """Return the query for (file, rows that could not be parsed, rows), the worst first, others to compare with."""
    held = f"SELECT _file, count() AS unread FROM headrace.quarantine WHERE dataset = {literal(dataset)}"  # noqa: S608
    by_file = f"{held} AND stage = 'read' GROUP BY _file"
    return (
        "SELECT files.name AS name, max(held.unread) AS unread, any(files.rows_read) AS rows "  # noqa: S608
        f"FROM headrace.files AS files LEFT JOIN ({by_file}) AS held ON files.file = held._file "
        f"WHERE files.dataset = {literal(dataset)} AND files.state != 'skipped' AND files.rows_read > 0 "
        "GROUP BY name ORDER BY unread DESC, name LIMIT 200"
    )
