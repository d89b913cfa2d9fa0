"""Names and literals in the warehouse's SQL: checked or escaped here, and nowhere else."""

import re

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
