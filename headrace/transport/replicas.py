"""Statements for a warehouse of several replicas: a database of ClickHouse's engine Replicated, with such tables."""

import re

_DATABASE = "CREATE DATABASE IF NOT EXISTS headrace"
_ENGINE = re.compile(r"\bENGINE = (?=(?:Replacing|Summing|Aggregating)?MergeTree\b)")
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_KEPT_SECS = 7 * 24 * 3600


def replicated(statement: str) -> str:
    """Return a statement of sinks/ddl or of a dataset's table as one for replicas; any other comes back as it is.

    Replicated tables keep the tokens of inserts in Keeper, so a repeat stores nothing on whichever replica it arrives.

    >>> print(replicated("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a"))
    CREATE TABLE t (a Int8) ENGINE = ReplicatedMergeTree ORDER BY a
    >>> replicated("INSERT INTO t VALUES ('ENGINE = MergeTree')")
    "INSERT INTO t VALUES ('ENGINE = MergeTree')"
    """
    if statement.strip() == _DATABASE:
        return f"{_DATABASE} ENGINE = Replicated('/clickhouse/databases/headrace', '{{shard}}', '{{replica}}')"
    if not statement.lstrip().startswith("CREATE TABLE"):
        return statement
    statement = _ENGINE.sub("ENGINE = Replicated", statement, count=1)
    window = rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {_KEPT_SECS}"
    return _WINDOW.sub(window, statement)
