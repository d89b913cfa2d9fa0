"""The Faust app against real Kafka: killed at seeded moments while deltas flow, it alerts once for each bad file."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from headrace.cli.alerts import published_alerts
from headrace.core.identity import stable_slot
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import PROFILES, QUALITY_PARTITIONS, SYSTEM_TOPICS
from headrace.testing.line import wait_for
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import Topics, TransactionalWriter

pytestmark = pytest.mark.stack
DATASET = "quality_kills"
FILES = 240
KILLS_AT = (60, 140)
# Messages that are no delta: cut within the frame, within the body, and down to nothing.
POISON_AT = {20: 3, 100: 20, 180: 0}


def start_app(stack: EmbeddedStack) -> subprocess.Popen[bytes]:
    environment = os.environ | {"HEADRACE_HOME": str(stack.settings.home)}
    command = [sys.executable, "-m", "headrace.stream_processors.quality_app"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def end(app: subprocess.Popen[bytes]) -> None:
    app.kill()
    app.wait()


def delta(file: str, stage: str, rows: int, rejected: int, file_rows: int | None = None) -> dict[str, Any]:
    reasons = {"required": rejected} if rejected else {}
    empty: dict[str, Any] = {
        "reasons": reasons,
        "rules": {},
        "columns": [],
        "file_rows": file_rows,
        "tolerance": 0.1,
        "trace_id": "",
    }
    named = {"file_state": "published", "file_reason": "", "owner": "", "name": "o.csv", "contract_version": "1"}
    return {"dataset": DATASET, "file": file, "stage": stage, "rows": rows, "rejected": rejected} | empty | named


def test_quality_app_alerts_once_for_each_bad_file_over_kills_and_aborted_transactions(stack: EmbeddedStack) -> None:
    settings, seeded = stack.settings, random.Random(20130101)
    Topics(settings.kafka_client()).ensure(SYSTEM_TOPICS)
    with closing(Registry(settings)) as registry:
        schema_id = registry.system_id(PROFILES, "profile_delta")
    writer = TransactionalWriter(settings.kafka_client(), "test-quality-kills")
    partition = stable_slot(DATASET, QUALITY_PARTITIONS)

    def publish(value: dict[str, Any], *, commit: bool = True, cut: int | None = None) -> None:
        writer.begin()
        framed = frame_system("profile_delta", schema_id, value)[:cut]
        writer.write(PROFILES, [framed], partition=partition, key=DATASET.encode())
        writer.commit() if commit else writer.abort()

    app = start_app(stack)
    bad, alerted = set[str](), 0
    try:
        for number in range(FILES):
            file, rejected = f"{number:016x}", seeded.choice((0, 5))
            bad |= {file} if rejected else set()
            publish(delta(file, "judge", 10, rejected))
            if seeded.random() < 0.1:
                publish(delta(file, "judge", 10, 10), commit=False)
            if number in POISON_AT:
                publish(delta(file, "judge", 10, 10), cut=POISON_AT[number])
            publish(delta(file, "read", 0, 0, file_rows=10))
            if number in KILLS_AT:
                wait_for_alerts(stack, alerted + 1)
                end(app)
                alerted = len(ours(stack))
                app = start_app(stack)
        wait_for_alerts(stack, len(bad))
        wait_for(lambda: lag(stack) == 0, 60.0, lambda: f"lag 0, it is {lag(stack)}", 0.2)
        app.terminate()
        assert app.wait(timeout=30) == 0
    finally:
        end(app)
    assert (set(ours(stack)), len(set(contents(stack)))) == (bad, len(bad)), "an alert is missing, or repeats differ"
    assert len(unreadable(stack)) == len(POISON_AT)
    assert {share for _, share in observed(stack)} == {0.5}, "a delta was counted twice or an aborted one was counted"


def unreadable(stack: EmbeddedStack) -> set[int]:
    """Return the offsets of the messages that the app told it cannot read."""
    lines = map(json.loads, (stack.settings.paths().logs / "quality.log").read_text().splitlines())
    return {line["offset"] for line in lines if line["message"] == "profile delta unreadable"}


def lag(stack: EmbeddedStack) -> int:
    return int(json.loads((stack.settings.paths().run / "stages" / "quality.json").read_text())["lag"])


def wait_for_alerts(stack: EmbeddedStack, count: int) -> None:
    wait_for(lambda: len(ours(stack)) >= count, 60.0, lambda: f"{count} alerts, there are {len(ours(stack))}", 0.2)


def ours(stack: EmbeddedStack) -> Counter[str]:
    return Counter(file for file, _ in observed(stack))


def contents(stack: EmbeddedStack) -> list[str]:
    """Return what the topic has, repeats too: a kill between an alert and the table's entry brings it again."""
    found = [alert for alert in published_alerts(stack.settings) if alert["dataset"] == DATASET]
    return [json.dumps(alert, default=str, sort_keys=True) for alert in found]


def observed(stack: EmbeddedStack) -> list[tuple[str, float]]:
    return [
        (alert["file"], alert["observed"]) for alert in published_alerts(stack.settings) if alert["dataset"] == DATASET
    ]
