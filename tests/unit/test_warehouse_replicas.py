"""Statements for a warehouse of two replicas."""

import re

from headrace.schemas.record import RecordSchema
from headrace.sinks.ddl import BOOTSTRAP, ddl_files
from headrace.sinks.tables import create_table
from headrace.transport.replicas import replicated

_TABLE_ENGINE = re.compile(r"\bENGINE = (\w+)")


def test_every_table_of_the_platform_is_replicated_and_keeps_its_deduplication_window() -> None:
    statements = [*BOOTSTRAP, *(text for file in ddl_files() for text in file.statements)]
    statements.append(create_table(RecordSchema("flights", ())))
    made = [replicated(text) for text in statements]
    engines = [name for text in made for name in _TABLE_ENGINE.findall(text)]
    assert len(engines) > 12
    assert all(name.startswith("Replicated") for name in engines)
    assert sum("non_replicated_deduplication_window" in text for text in statements) > 8
    for before, after in zip(statements, made, strict=True):
        assert "non_replicated" not in after
        assert ("non_replicated_deduplication_window = 10000" in before) == (
            " replicated_deduplication_window = 10000" in after
        )


def test_views_and_other_statements_stay_as_they_are() -> None:
    for text in ("CREATE VIEW v AS SELECT 1", "ALTER TABLE t ADD COLUMN a Int8", "SELECT 'ENGINE = MergeTree'"):
        assert replicated(text) == text


def test_database_is_one_whose_statements_reach_every_replica() -> None:
    assert replicated(BOOTSTRAP[0]).endswith(
        "ENGINE = Replicated('/clickhouse/databases/headrace', '{shard}', '{replica}')"
    )
