"""Keys of another dataset: read beside the work, in the types of the fields that are compared with them."""

import functools
from contextlib import closing

import polars as pl
import pytest

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.record import FieldType
from headrace.schemas.sql_text import table_name
from headrace.sinks.ddl import apply_ddl
from headrace.stream_processors.checks.reference import KEYS, KnownKeys, Reference
from headrace.stream_processors.reference_keys import ReferenceKeys
from headrace.testing.line import wait_for
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack


def contract_with(dataset: str) -> Contract:
    rule = CheckRule(
        "known",
        "reference",
        ("dest",),
        {"dataset": dataset, "keys": ["faa"]},
        types={"dest": FieldType.STRING},
    )
    return Contract("flights", "1", "", drafted=False, fields=(), rules=(), checks=(rule,))


def failed(rule: CheckRule) -> int:
    frame = pl.DataFrame({"dest": ["BOS", "XXX", None, "LAX"]})
    figures = Reference().figures(rule)
    return int(frame.select(figures["failed"]).item()) if "failed" in figures else -1


def test_keys_are_known_once_the_other_dataset_has_rows(stack: EmbeddedStack) -> None:
    contract = contract_with("reference_airports")
    table = table_name("reference_airports")
    with Warehouse(stack.settings) as warehouse:
        apply_ddl(warehouse)
        with closing(ReferenceKeys(functools.partial(Warehouse, stack.settings))) as keys:
            assert failed(keys.prepared(contract)[0]) == -1
            warehouse.execute(f"CREATE TABLE {table} (`faa` Nullable(String)) ENGINE = MergeTree ORDER BY tuple()")
            warehouse.execute(f"INSERT INTO {table} VALUES ('BOS'), ('LAX'), (NULL)")
            wait_for(lambda: KEYS in keys.prepared(contract)[0].prepared, 20.0, lambda: "keys", 0.1)
            [rule] = keys.prepared(contract)
            found = rule.prepared[KEYS]
            assert isinstance(found, KnownKeys)
            assert found.frame.schema == {"faa": pl.String}
            assert failed(rule) == 1


def test_contract_without_references_starts_nothing(stack: EmbeddedStack) -> None:
    def connect() -> Warehouse:
        raise AssertionError("nobody asked for keys")

    contract = Contract("flights", "1", "", drafted=False, fields=(), rules=())
    with closing(ReferenceKeys(connect)) as keys:
        assert keys.prepared(contract) is contract.checks
