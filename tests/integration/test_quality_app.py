"""The Faust app against real Kafka, killed at seeded moments: one alert for each bad file, and every window once."""

import json
import random
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from headrace.cli.alerts import published_alerts
from headrace.core.identity import stable_slot
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import PROFILES, QUALITY_PARTITIONS, SYSTEM_TOPICS, WINDOWS
from headrace.settings import Settings
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.testing.line import wait_for
from headrace.testing.quality_members import end, folded, lag_of, published, stamped, start_member
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import Topics, TransactionalWriter

pytestmark = pytest.mark.stack
DATASET = "quality_kills"
FILES = 240
KILLS_AT = (60, 140)
# Messages that are no delta: cut within the frame, within the body, and down to nothing.
POISON_AT = {20: 3, 100: 20, 180: 0}
HOUR, FIRST_HOUR, FILES_AN_HOUR, MICROS = 3600, 1_700_000_000 // 3600 * 3600, 8, 1_000_000
BAD_HOURS = range(10, 15)
CONTRACT = parse_contract(f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
customProperties:
  - {{property: headrace.alerts, value: {{stillEvery: 3, resolveAfter: 2}}}}
schema:
  - name: {DATASET}
    customProperties:
      - {{property: headrace.timeField, value: at}}
      - {{property: window, value: PT1H}}
    properties:
      - {{name: at, logicalType: timestamp}}
      - name: mass
        logicalType: number
        quality:
          - {{id: mass_missing, metric: nullValues, mustBeLessOrEqualTo: 10, unit: percent}}
""")


def window(hour: int, rows: int, missing: int) -> dict[str, Any]:
    counts = pack_cell(Tally({"rows": rows, "nulls": missing}))
    figures = {"counts": {"mass_missing": {"failed": missing}}, "cells": {}, "fields": {"mass": {"counts": counts}}}
    return {"clock": "event", "start": FIRST_HOUR + hour * HOUR, "rows": rows, "rejected": 0} | figures


def windows_of(number: int, seeded: random.Random) -> list[dict[str, Any]]:
    """Return what a file adds: to its hour, and now and then to one that was closed before."""
    hour = number // FILES_AN_HOUR
    late = [window(hour - 2, 1, 1)] if hour > 2 and seeded.random() < 0.1 else []
    return [*late, window(hour, 10, 5 if hour in BAD_HOURS else 0)]


def delta(
    file: str, stage: str, rows: int, rejected: int, file_rows: int | None = None, windows: Any = ()
) -> dict[str, Any]:
    reasons = {"required": rejected} if rejected else {}
    empty: dict[str, Any] = {
        "reasons": reasons,
        "rules": {},
        "columns": [],
        "file_rows": file_rows,
        "tolerance": 0.1,
        "trace_id": "",
    }
    named = {"file_state": "published", "file_reason": "", "owner": "", "name": f"{file}.csv"}
    told = {"contract_version": CONTRACT.version, "windows": list(windows)}
    return {"dataset": DATASET, "file": file, "stage": stage, "rows": rows, "rejected": rejected} | empty | named | told


def prepared(settings: Settings) -> int:
    """Make the topics, record the contract, and return the registry id of deltas."""
    Topics(settings.kafka_client()).ensure(SYSTEM_TOPICS)
    with closing(Registry(settings)) as registry:
        schema_id = registry.system_id(PROFILES, "profile_delta")
        with closing(ContractStore(settings, settings.kafka_client(), registry)) as contracts:
            contracts.record(CONTRACT)
    return schema_id


def test_quality_app_alerts_once_for_each_bad_file_over_kills_and_aborted_transactions(stack: EmbeddedStack) -> None:
    settings, seeded = stack.settings, random.Random(20130101)
    schema_id = prepared(settings)
    writer = TransactionalWriter(settings.kafka_client(), "test-quality-kills")
    partition = stable_slot(DATASET, QUALITY_PARTITIONS)

    def publish(value: dict[str, Any], *, commit: bool = True, cut: int | None = None) -> None:
        writer.begin()
        framed = frame_system("profile_delta", schema_id, value)[:cut]
        writer.write(PROFILES, [framed], partition=partition, key=DATASET.encode())
        writer.commit() if commit else writer.abort()

    app = start_member(settings, 0)
    bad, alerted = set[str](), 0
    try:
        for number in range(FILES):
            file, rejected = f"{number:016x}", seeded.choice((0, 5))
            bad |= {file} if rejected else set()
            publish(delta(file, "judge", 10, rejected, windows=windows_of(number, seeded)))
            if seeded.random() < 0.1:
                publish(delta(file, "judge", 10, 10, windows=windows_of(number + 20, seeded)), commit=False)
            if number in POISON_AT:
                publish(delta(file, "judge", 10, 10), cut=POISON_AT[number])
            publish(delta(file, "read", 0, 0, file_rows=10))
            if number in KILLS_AT:
                wait_for_alerts(stack, alerted + 1)
                end(app)
                alerted = len(ours(stack))
                app = start_member(settings, 0)
        wait_for_alerts(stack, len(bad))
        wait_for(lambda: lag_of(settings, 0) == 0, 60.0, lambda: f"lag 0, it is {lag_of(settings, 0)}", 0.2)
        told = published(settings, WINDOWS, "window", is_ours)
        app.terminate()
        assert app.wait(timeout=30) == 0
    finally:
        end(app)
    assert (set(ours(stack)), len(set(contents(stack)))) == (bad, len(bad)), "an alert is missing, or repeats differ"
    assert len(unreadable(stack)) == len(POISON_AT)
    assert {share for _, share in observed(stack)} == {0.5}, "a delta was counted twice or an aborted one was counted"
    assert_every_window_once(stack, told)


def assert_every_window_once(stack: EmbeddedStack, told: list[dict[str, Any]]) -> None:
    found = {place(one): (one["rows"], one["verdicts"][0]["observed"]) for one in told}
    wanted = folded(stamped(stack.settings, PROFILES, "profile_delta", is_ours))
    assert found == {at: figures(parts) for at, parts in wanted.items()}, "windows are not those of the deltas"
    assert len({json.dumps(one, default=repr) for one in told}) == len(found), "repeats of a window differ"
    assert transitions(stack) == Counter([("open", 10), ("still", 13), ("resolved", 16)])


def is_ours(dataset: str) -> bool:
    return dataset == DATASET


def place(one: dict[str, Any]) -> tuple[int, int]:
    return int(one["start"].timestamp()), one["revision"]


def figures(parts: list[dict[str, Any]]) -> tuple[int, float]:
    """Return rows and missing percent of what was put together."""
    rows = sum(one["rows"] for one in parts)
    return rows, 100.0 * sum(one["counts"]["mass_missing"]["failed"] for one in parts) / rows


def transitions(stack: EmbeddedStack) -> Counter[tuple[str, int]]:
    """Return the transitions of the rule's alert with their hours; those that a kill repeats are one."""
    found = {one["alert_id"]: one for one in published_alerts(stack.settings) if one["clock"] == "event"}
    ours = [one for one in found.values() if (one["dataset"], one["rule"]) == (DATASET, "mass_missing")]
    return Counter((one["state"], (int(one["window_start"].timestamp()) - FIRST_HOUR) // HOUR) for one in ours)


def unreadable(stack: EmbeddedStack) -> set[int]:
    """Return the offsets of the messages that the app told it cannot read."""
    lines = map(json.loads, (stack.settings.paths().logs / "quality.log").read_text().splitlines())
    return {line["offset"] for line in lines if line["message"] == "profile delta unreadable"}


def wait_for_alerts(stack: EmbeddedStack, count: int) -> None:
    wait_for(lambda: len(ours(stack)) >= count, 60.0, lambda: f"{count} alerts, there are {len(ours(stack))}", 0.2)


def ours(stack: EmbeddedStack) -> Counter[str]:
    return Counter(file for file, _ in observed(stack))


def contents(stack: EmbeddedStack) -> list[str]:
    """Return what the topic has, repeats too: a kill between an alert and the table's entry brings it again."""
    found = of_files(stack)
    return [json.dumps(alert, default=str, sort_keys=True) for alert in found]


def observed(stack: EmbeddedStack) -> list[tuple[str, float]]:
    return [(alert["file"], alert["observed"]) for alert in of_files(stack)]


def of_files(stack: EmbeddedStack) -> list[dict[str, Any]]:
    found = [alert for alert in published_alerts(stack.settings) if alert["dataset"] == DATASET]
    return [alert for alert in found if alert["clock"] == "file"]
