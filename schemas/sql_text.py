"""Names and literals in the warehouse's SQL: checked or escaped here, and nowhere else."""

import re
from datetime import UTC, date, datetime

from headrace.errors import WarehouseRefused

DATABASE = "headrace"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def identifier(name: str) -> str:
    """Return a column's or table's name quoted; raises WarehouseRefused for what is no plain name.

    >>> identifier("dep_time")
    '`dep_time`'
    """
    if not _IDENTIFIER.fullmatch(name):
        raise WarehouseRefused(f"name {name!r} cannot be a column or table", hint="rename the field in the contract")
    return f"`{name}`"


def literal(text: str) -> str:
    r"""Return a string literal.

    >>> literal("it's a \\")
    "'it\\'s a \\\\'"
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def table_name(table: str) -> str:
    """Return a table's full, quoted name."""
    return f"{DATABASE}.{identifier(table)}"


def value_text(value: object) -> str:
    """Return a constant of a contract with its type, as SQL: None, bool, int, float, str, date or datetime.

    >>> value_text(2.5), value_text(True), value_text(date(2024, 1, 31))
    ('toFloat64(2.5)', 'true', "toDate32('2024-01-31')")
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"toInt64({value})"
    if isinstance(value, float):
        return f"toFloat64({value!r})"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        text = moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return f"toDateTime64({literal(text)}, 6, 'UTC')"
    return f"toDate32({literal(value.isoformat())})" if isinstance(value, date) else literal(str(value))
