"""The process `notify` on a real broker: it tells what was published, once, and goes on where it was after a kill."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from headrace.core.identity import stable_slot
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import ALERTS, QUALITY_PARTITIONS
from headrace.testing.line import wait_for
from headrace.testing.receiver import receiver
from headrace.testing.stack import EmbeddedStack
from headrace.transport.plain import write_plainly


def publish(stack: EmbeddedStack, alert_id: str) -> None:
    texts = ("file", "file_name", "message", "hint", "trace_id", "contract_version", "owner")
    record: dict[str, Any] = dict.fromkeys(texts, "") | {"reasons": {}, "rows": 1, "rows_at_risk": 1}
    record |= {"alert_id": alert_id, "dataset": "notified", "rule": "r", "state": "open", "severity": "critical"}
    record |= {"observed": None, "bound": None, "raised_at": time.time_ns() // 1000, "subject": "", "class": "quality"}
    record |= {"clock": "file", "window_start": None, "window_end": None, "opened_at": None, "unit": "", "error": 0.0}
    record |= {"dimension": "", "field": "", "segments": [], "samples": [], "advice_id": "", "silenced": False}
    with closing(Registry(stack.settings)) as registry:
        framed = frame_system("alert", registry.system_id(ALERTS, "alert"), record)
    slot = stable_slot("notified", QUALITY_PARTITIONS)
    write_plainly(stack.settings.kafka_client(), ALERTS, alert_id.encode(), framed, partition=slot)


@pytest.mark.stack
def test_published_alert_is_told_once_and_the_next_one_after_a_kill(stack: EmbeddedStack) -> None:
    with receiver(200) as (url, got):
        target = {"name": "hook", "type": "webhook", "options": {"url": url}, "datasets": ["notified"]}
        stack.settings.paths().notify.write_text(json.dumps([target]))

        def has(alert_id: str) -> bool:
            return alert_id in [json.loads(body)["alert_id"] for _, body in got]

        environment = os.environ | {"HEADRACE_HOME": str(stack.settings.home)}
        command = [sys.executable, "-m", "headrace.sinks.notify"]
        try:
            for alert_id in ("first", "second"):
                publish(stack, alert_id)
                publish(stack, alert_id)
                process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
                try:
                    wait_for(partial(has, alert_id), 40.0, lambda: str(got))
                finally:
                    process.kill()
                    process.wait()
        finally:
            stack.settings.paths().notify.unlink()
    told = [json.loads(body)["alert_id"] for _, body in got]
    assert told.count("second") == 1
    assert told[-1] == "second"
