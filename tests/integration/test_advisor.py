"""The advisor over real rows: cancelled days of the flights of 2013 are found, named, and turned into advice."""

import io
import threading
from contextlib import closing
from typing import Any

import polars as pl
import pytest

from headrace.cli.advice_decisions import decide
from headrace.errors import WrongUse
from headrace.runtime.samples import sample_csv
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import ContractStore, shipped_contract
from headrace.schemas.registry import Registry
from headrace.schemas.sql_text import table_name
from headrace.schemas.system import frame_system, read_system
from headrace.schemas.topics import ADVICE, ALERTS, SYSTEM_TOPICS
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import create_table
from headrace.stream_processors.advisor import Advisor
from headrace.stream_processors.steps.advice_life import fold
from headrace.testing.line import wait_for
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic
from headrace.transport.kafka import Topics
from headrace.transport.plain import write_plainly
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
DATASET = "advised_flights"


def contract_of() -> Contract:
    text = shipped_contract("flights")
    assert text is not None
    return parse_contract(text.replace("name: flights\n", f"name: {DATASET}\n"), "advised.odcs.yaml")


@pytest.fixture(scope="module")
def contract(stack: EmbeddedStack) -> Contract:
    """Store the real flights as the sink would, and their contract."""
    found = contract_of()
    Topics(stack.settings.kafka_client()).ensure(SYSTEM_TOPICS)
    frame = pl.read_csv(io.BytesIO(sample_csv("flights")), null_values=["NA"], try_parse_dates=True).with_columns(
        pl.col("time_hour").dt.replace_time_zone(None).cast(pl.Datetime("us")),
        _file=pl.lit("0123456789abcdef"),
        _row=pl.int_range(pl.len()),
        _topic=pl.lit(f"{DATASET}.valid"),
        _partition=pl.lit(0, pl.Int32),
        _offset=pl.int_range(pl.len()),
        _ingested_at=pl.lit(0, pl.Int64).cast(pl.Datetime("ms")),
    )
    block = io.BytesIO()
    frame.write_parquet(block, compression="uncompressed")
    with Warehouse(stack.settings) as warehouse:
        apply_ddl(warehouse)
        warehouse.execute(create_table(found.record_schema))
        warehouse.insert(table_name(DATASET), frame.columns, block.getvalue(), data_format="Parquet", token="once")
    client = stack.settings.kafka_client()
    with (
        closing(Registry(stack.settings)) as registry,
        closing(ContractStore(stack.settings, client, registry)) as store,
    ):
        store.record(found)
    return found


def alert_of(contract: Contract) -> dict[str, Any]:
    """Return the alert that the window of 9 February would raise."""
    day = 1_360_368_000_000_000
    return {
        "alert_id": "a" * 32, "dataset": DATASET, "rule": "cancelled_flights", "state": "open", "severity": "warning",
        "observed": 57.5, "bound": 10.0, "rows": 684, "rows_at_risk": 393, "file": "", "file_name": "", "reasons": {},
        "message": "393 of 684 have no dep_time", "hint": "", "trace_id": "", "contract_version": contract.version,
        "owner": contract.owner, "raised_at": day, "clock": "event", "window_start": day,
        "window_end": day + 86_400_000_000, "unit": "percent", "field": "dep_time", "subject": "b" * 32,
    }  # fmt: skip


def test_missing_departures_lead_to_the_cancelled_days_and_a_dismissal_stays(
    stack: EmbeddedStack, contract: Contract
) -> None:
    tell(stack, contract, "a" * 32)
    advice = {one["symptom"]: one for one in ours(stack, ADVICE)}["absent_events"]
    assert "date=2013-02-08" in advice["segment"]
    assert "date=2013-02-09" in advice["segment"]
    assert "the flight was cancelled" in advice["cause"]
    assert any("dep_delay" in text and "air_time" in text for text in advice["evidence"])
    assert advice["query"].startswith("WITH `time_hour` AS `_event` SELECT toDate(`time_hour`) AS `by_date`")
    assert (advice["rule"], advice["confidence"] > 0.8, advice["expected_gain"] > 0) == (
        "cancelled_flights",
        True,
        True,
    )
    first, enriched = [one for one in ours(stack, ALERTS) if one["alert_id"] == "a" * 32]
    assert (first["segments"], first["samples"]) == ([], [])
    assert enriched["segments"][0]["name"].startswith("date=2013-02-0")
    assert len(enriched["samples"]) == 5
    assert enriched["advice_id"] == advice["advice_id"]
    decision_stays(stack, contract, advice)


def decision_stays(stack: EmbeddedStack, contract: Contract, first: dict[str, Any]) -> None:
    """Check that a dismissed advice keeps still when the same alert comes again."""
    decide(stack.settings, DATASET, first["advice_id"][:12], "dismiss", by="ana", why="known storm")
    tell(stack, contract, "c" * 32)
    stands = fold(ours(stack, ADVICE))[first["advice_id"]]
    assert (stands["state"], stands["decided_by"], stands["why"]) == ("dismissed", "ana", "known storm")
    assert [one["advice_id"] for one in ours(stack, ALERTS) if one["alert_id"] == "c" * 32][-1] != first["advice_id"]
    with pytest.raises(WrongUse, match="0 advices"):
        decide(stack.settings, DATASET, "nothing", "done", by="ana")


def tell(stack: EmbeddedStack, contract: Contract, alert_id: str) -> None:
    """Publish the alert under an id and let the advisor work until it has looked into it."""
    alert = alert_of(contract) | {"alert_id": alert_id}
    with closing(Registry(stack.settings)) as registry:
        framed = frame_system("alert", registry.system_id(ALERTS, "alert"), alert)
    write_plainly(stack.settings.kafka_client(), ALERTS, alert_id.encode(), framed)
    stop = threading.Event()
    with closing(Advisor(stack.settings, stop)) as advisor:
        thread = threading.Thread(target=advisor.run)
        thread.start()
        try:
            wait_for(
                lambda: any(one["alert_id"] == alert_id and one["samples"] for one in ours(stack, ALERTS)),
                40.0, lambda: "the alert with its rows", 0.3,
            )  # fmt: skip
        finally:
            stop.set()
            thread.join()


def ours(stack: EmbeddedStack, topic: str) -> list[dict[str, Any]]:
    name = {ALERTS: "alert", ADVICE: "advice"}[topic]
    values = [read_system(name, message.value) for message in read_topic(stack.settings.kafka_client(), topic)]
    return [value for value in values if value["dataset"] == DATASET]
