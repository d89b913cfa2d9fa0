"""The advisor over real rows: cancelled days of the flights of 2013, in twelve monthly files as they would come.

They are found, named, and turned into advice; what a person decides stays, and what following it did is measured.
"""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import polars as pl
import pytest

from headrace.cli.advice_decisions import decide
from headrace.core.child import wait_until
from headrace.core.identity import trace_id
from headrace.errors import WrongUse
from headrace.observability.tracing import FileTracer
from headrace.runtime.samples import sample_csv
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import ContractStore, contract_path, shipped_contract
from headrace.schemas.registry import Registry
from headrace.schemas.sql_text import table_name
from headrace.schemas.system import frame_system, read_system
from headrace.schemas.topics import ADVICE, ALERTS, SYSTEM_TOPICS, WINDOWS
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
DATASET, WEATHER = "advised_flights", "advised_weather"
DAY = 86_400_000_000
STORM = 1_360_368_000_000_000
"""9 February 2013."""


def stored(warehouse: Warehouse, shipped: str, dataset: str, file: pl.Expr) -> Contract:
    """Store a real dataset as the sink would; return its contract."""
    text = shipped_contract(shipped)
    assert text is not None
    contract = parse_contract(text.replace(f"name: {shipped}\n", f"name: {dataset}\n"), "advised.odcs.yaml")
    read = pl.read_csv(io.BytesIO(sample_csv(shipped)), null_values=["NA"], infer_schema_length=None)
    frame = read.with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us"),
        _file=file,
        _row=pl.int_range(pl.len()),
        _topic=pl.lit(f"{dataset}.valid"),
        _partition=pl.lit(0, pl.Int32),
        _offset=pl.int_range(pl.len()),
        _ingested_at=pl.lit(0, pl.Int64).cast(pl.Datetime("ms")),
    )
    block = io.BytesIO()
    frame.write_parquet(block, compression="uncompressed")
    warehouse.execute(create_table(contract.record_schema))
    warehouse.insert(table_name(dataset), frame.columns, block.getvalue(), data_format="Parquet", token="once")
    return contract


def month_file(month: int) -> str:
    return f"{month:016x}"


@pytest.fixture(scope="module")
def contract(stack: EmbeddedStack) -> Contract:
    """Store the flights of each month under a file of its own, the weather beside it, and both contracts."""
    Topics(stack.settings.kafka_client()).ensure(SYSTEM_TOPICS)
    months = pl.format("00000000000000{}", pl.col("month").map_elements("{:02x}".format, pl.String))
    with Warehouse(stack.settings) as warehouse:
        apply_ddl(warehouse)
        found = stored(warehouse, "flights", DATASET, months)
        weather = stored(warehouse, "weather", WEATHER, pl.lit("f" * 16))
        names = ", ".join(
            f"('{DATASET}', '{month_file(n)}', 'flights-2013-{n:02}.csv', 'balanced', {n}, '{n}')" for n in range(1, 13)
        )
        warehouse.execute(
            f"INSERT INTO headrace.file_entries (dataset, file, name, state, _offset, _key) VALUES {names}"
        )
    path = contract_path(stack.settings.paths(), WEATHER)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(weather.text)
    client = stack.settings.kafka_client()
    with (
        closing(Registry(stack.settings)) as registry,
        closing(ContractStore(stack.settings, client, registry)) as store,
    ):
        store.record(found)
    return found


def alert_of(contract: Contract, alert_id: str, **changed: Any) -> dict[str, Any]:
    """Return the alert that the window of 9 February would raise."""
    return {
        "alert_id": alert_id, "dataset": DATASET, "rule": "cancelled_flights", "state": "open", "severity": "warning",
        "observed": 57.5, "bound": 10.0, "rows": 684, "rows_at_risk": 393, "file": "", "file_name": "", "reasons": {},
        "message": "393 of 684 have no dep_time", "hint": "", "trace_id": "", "contract_version": contract.version,
        "owner": contract.owner, "raised_at": STORM, "clock": "event", "window_start": STORM,
        "window_end": STORM + DAY, "unit": "percent", "field": "dep_time", "subject": "b" * 32,
    } | changed  # fmt: skip


@contextmanager
def advisor(stack: EmbeddedStack) -> Iterator[None]:
    stop = threading.Event()
    with closing(Advisor(stack.settings, stop, FileTracer(lambda _span: None))) as process:
        thread = threading.Thread(target=process.run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def tell(stack: EmbeddedStack, alert: dict[str, Any], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Publish an alert and return the word that satisfies `done` under its id."""
    publish(stack, ALERTS, "alert", alert["alert_id"], alert)

    def words() -> list[dict[str, Any]]:
        return [one for one in ours(stack, ALERTS) if one["alert_id"] == alert["alert_id"]][1:]

    with advisor(stack):
        wait_for(lambda: any(map(done, words())), 120.0, lambda: f"the alert with its rows: {words()}", 0.3)
    return next(filter(done, words()))


def publish(stack: EmbeddedStack, topic: str, name: str, key: str, record: dict[str, Any]) -> None:
    with closing(Registry(stack.settings)) as registry:
        framed = frame_system(name, registry.system_id(topic, name), record)
    write_plainly(stack.settings.kafka_client(), topic, key.encode(), framed)


def ours(stack: EmbeddedStack, topic: str) -> list[dict[str, Any]]:
    name = {ALERTS: "alert", ADVICE: "advice"}[topic]
    values = [read_system(name, message.value) for message in read_topic(stack.settings.kafka_client(), topic)]
    return [value for value in values if value["dataset"] == DATASET]


def test_missing_departures_in_monthly_files_lead_to_the_storm_and_to_no_form_that_lets_a_field_be_empty(
    stack: EmbeddedStack, contract: Contract
) -> None:
    enriched = tell(stack, alert_of(contract, "a" * 32), lambda one: bool(one["samples"]))
    found = {one["symptom"]: one for one in ours(stack, ADVICE) if one["rule"] == "cancelled_flights"}
    assert set(found) == {"absent_events"}, "a cancelled day is no setting of a collector"
    advice = found["absent_events"]
    assert "date=2013-02-08" in advice["segment"]
    assert "date=2013-02-09" in advice["segment"]
    assert "the flight was cancelled" in advice["cause"]
    assert "8 and 9 February 2013" in advice["cause"]
    assert f"a storm or similar event on these days, as {WEATHER} shows" in advice["cause"]
    assert any(text.startswith(f"{WEATHER} on these days:") and "precip" in text for text in advice["evidence"])
    assert any("dep_delay" in text and "air_time" in text for text in advice["evidence"])
    assert advice["query"].startswith("WITH `time_hour` AS `_event` SELECT toDate(`time_hour`) AS `by_date`")
    with Warehouse(stack.settings, person=True) as warehouse:
        assert warehouse.rows(advice["query"])[0][1:] == (520, 748), "days of event time, in UTC"
    assert (advice["confidence"] > 0.8, advice["expected_gain"] > 0) == (True, True)
    assert enriched["segments"][0]["name"].startswith("date=2013-02-0")
    assert len(enriched["samples"]) == 5
    assert enriched["advice_id"] == advice["advice_id"]
    february = month_file(2)
    assert (enriched["file"], enriched["file_name"]) == (february, "flights-2013-02.csv")
    assert enriched["trace_id"] == trace_id(DATASET, february)


def test_alert_says_where_it_was_until_it_is_resolved(stack: EmbeddedStack, contract: Contract) -> None:
    opened = tell(stack, alert_of(contract, "d" * 32, subject="e" * 32), lambda one: bool(one["samples"]))
    # Another advisor than the one that saw it open: it goes on from the topic.
    calm = {"window_start": STORM + 20 * DAY, "window_end": STORM + 21 * DAY, "observed": 1.0, "rows_at_risk": 0}
    resolved = alert_of(contract, "f" * 32, subject="e" * 32, state="resolved", **calm)
    told = tell(stack, resolved, lambda one: bool(one["samples"]))
    for name in ("segments", "samples", "advice_id", "file", "file_name", "trace_id"):
        assert told[name] == opened[name], name
    assert (told["state"], told["rows_at_risk"]) == ("resolved", 0)


def test_dismissed_advice_keeps_still_when_the_alert_comes_again(stack: EmbeddedStack, contract: Contract) -> None:
    tell(stack, alert_of(contract, "1" * 32), lambda one: bool(one["samples"]))
    first = next(one for one in ours(stack, ADVICE) if one["symptom"] == "absent_events")
    decide(stack.settings, DATASET, first["advice_id"][:12], "dismiss", by="ana", why="known storm")
    try:
        told = tell(stack, alert_of(contract, "c" * 32, subject="c" * 32), lambda one: bool(one["samples"]))
        stands = fold(ours(stack, ADVICE))[first["advice_id"]]
    finally:  # other tests look for it in alerts
        decide(stack.settings, DATASET, first["advice_id"], "accept", by="ana")
    assert (stands["state"], stands["decided_by"], stands["why"]) == ("dismissed", "ana", "known storm")
    assert told["advice_id"] != first["advice_id"]
    with pytest.raises(WrongUse, match="0 advices"):
        decide(stack.settings, DATASET, "nothing", "done", by="ana")


def test_alert_of_a_file_gets_rows_to_look_at_and_advice(stack: EmbeddedStack, contract: Contract) -> None:
    file = "ab" * 8
    with Warehouse(stack.settings) as warehouse:
        warehouse.execute(
            "INSERT INTO headrace.quarantine (dataset, _file, _row, stage) "
            f"SELECT '{DATASET}', '{file}', number + 3, 'read' FROM numbers(9)"
        )
    of_file = {"rule": "rejected_share", "clock": "file", "window_start": None, "window_end": None, "file": file}
    reasons = {"reasons": {"too_few_fields": 9}, "rows_at_risk": 9, "rows": 20, "subject": "9" * 32}
    told = tell(stack, alert_of(contract, "9" * 32, **of_file, **reasons), lambda one: bool(one["advice_id"]))
    assert [one["row"] for one in told["samples"]] == [3, 4, 5, 6, 7]
    advice = fold(ours(stack, ADVICE))[told["advice_id"]]
    assert (advice["symptom"], advice["rows_at_risk"]) == ("release_regression", 9)
    over = alert_of(contract, "8" * 32, **of_file, subject="9" * 32, state="resolved", rows_at_risk=0)
    assert tell(stack, over, lambda one: bool(one["advice_id"]))["samples"] == told["samples"]


def window_of(contract: Contract, start: int, observed: float, **changed: Any) -> dict[str, Any]:
    """Return a closed day with one verdict."""
    verdict = {
        "rule": "cancelled_flights", "check": "null_rate", "field": "dep_time", "dimension": "completeness",
        "severity": "warning", "outcome": "fail" if observed > 10 else "pass", "observed": observed, "upper": 10.0,
        "unit": "percent", "rows": 900, "rows_at_risk": round(9 * observed), "detail": "", "demand": "",
    }  # fmt: skip
    return {
        "dataset": DATASET, "clock": "event", "start": start, "end": start + DAY, "revision": 0,
        "closed_at": start + DAY, "contract_version": contract.version, "rows": 900, "checked": 1,
        "verdicts": [verdict],
    } | changed  # fmt: skip


@pytest.mark.parametrize(("after", "windows", "state"), [(1.0, 3, "moved"), (30.0, 8, "not_moved")])
def test_advice_that_was_followed_is_measured_by_the_windows_after_it(
    stack: EmbeddedStack, contract: Contract, after: float, windows: int, state: str
) -> None:
    tell(stack, alert_of(contract, f"{windows:032x}", subject=f"{windows:032x}"), lambda one: bool(one["samples"]))
    advice = next(one for one in ours(stack, ADVICE) if one["symptom"] == "absent_events")
    decided = decide(stack.settings, DATASET, advice["advice_id"], "done", by="ana", why="status is collected")
    assert (decided["metric_before"], decided["metric_after"], decided["measured"]) == (None, None, "")
    at = decided["decided_at"] // DAY * DAY
    days = [(-5 + n, 30.0 + n % 2) for n in range(4)] + [(1 + n, after + n % 2 / 2) for n in range(windows)]

    def stands() -> dict[str, Any]:
        return fold(ours(stack, ADVICE))[advice["advice_id"]]

    with advisor(stack):
        for day, observed in days[:-1]:
            window = window_of(contract, at + day * DAY, observed)
            publish(stack, WINDOWS, "window", f"{DATASET}/event/{day}/0", window)
        # With a window too few nothing may be said, however long one waits.
        assert not wait_until(lambda: stands()["state"] != "done", 5, every_secs=0.5), stands()
        day, observed = days[-1]
        publish(stack, WINDOWS, "window", f"{DATASET}/event/{day}/0", window_of(contract, at + day * DAY, observed))
        wait_for(lambda: stands()["state"] != "done", 60.0, lambda: str(stands()), 0.3)
    told = stands()
    assert told["state"] == state
    assert told["metric_before"] == pytest.approx(30.5)
    assert told["metric_after"] == pytest.approx(after, abs=0.5)
    assert told["measured"].startswith("30.5 % in 4 windows before")
    assert (told["decided_by"], told["why"]) == ("ana", "status is collected")
