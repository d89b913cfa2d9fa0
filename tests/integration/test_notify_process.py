"""The process `notify` on a real broker: it tells what was published, once, and goes on where it was after a kill."""

import json
import os
import ssl
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace.core.identity import stable_slot
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import ALERTS, QUALITY_PARTITIONS
from headrace.testing.line import wait_for
from headrace.testing.mail_server import HOST, mail_server
from headrace.testing.receiver import receiver
from headrace.testing.stack import EmbeddedStack
from headrace.transport.plain import write_plainly

CERTIFICATE = Path("tests/golden/tls/localhost.pem").absolute()


def publish(stack: EmbeddedStack, alert_id: str) -> None:
    texts = ("file", "file_name", "message", "hint", "trace_id", "contract_version", "owner")
    record: dict[str, Any] = dict.fromkeys(texts, "") | {"reasons": {}, "rows": 1, "rows_at_risk": 1}
    record |= {"alert_id": alert_id, "dataset": "notified", "rule": "r", "state": "open", "severity": "critical"}
    record |= {"observed": None, "bound": None, "raised_at": time.time_ns() // 1000, "subject": "", "class": "quality"}
    record |= {"clock": "file", "window_start": None, "window_end": None, "opened_at": None, "unit": "", "error": 0.0}
    record |= {
        "message": f"of {alert_id}",
        "dimension": "",
        "field": "",
        "segments": [],
        "samples": [],
        "advice_id": "",
        "silenced": False,
    }
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


def entries_of(away: str, hook: str, port: int) -> list[dict[str, Any]]:
    post = {"host": HOST, "port": port, "from": "h@example.org", "to": "desk@example.org"}
    login = {"user": "headrace", "passwordEnv": "NOTIFY_TEST_PASSWORD"}
    targets: list[dict[str, Any]] = [
        {"name": "away", "type": "webhook", "options": {"url": away}},
        {"name": "tickets", "type": "webhook", "options": {"url": hook, "secretEnv": "NOTIFY_TEST_PASSWORD"}},
        {"name": "ops", "type": "slack", "options": {"urlEnv": "NOTIFY_TEST_SLACK"}},
        {"name": "desk", "type": "mail", "options": post | login},
    ]
    return [target | {"datasets": ["notified"], "maxAge": "PT10M"} for target in targets]


@pytest.mark.stack
def test_every_kind_of_target_is_told_of_one_alert_though_another_is_away(stack: EmbeddedStack) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with (
        receiver(200) as (hook, hooked),
        receiver(200) as (slack, slacked),
        mail_server(tls=tls, login=("headrace", "s3cret"), answers={"RCPT": [451, 250]}) as box,
    ):
        with receiver(200) as (away, _):
            pass
        entries = entries_of(away, hook, box.port)
        stack.settings.paths().notify.write_text(json.dumps(entries))
        environment = os.environ | {"HEADRACE_HOME": str(stack.settings.home), "SSL_CERT_FILE": str(CERTIFICATE)}
        environment |= {"NOTIFY_TEST_PASSWORD": "s3cret", "NOTIFY_TEST_SLACK": slack}
        publish(stack, "to-all")
        process = subprocess.Popen([sys.executable, "-m", "headrace.sinks.notify"], env=environment)
        try:

            def told() -> bool:
                ids = [json.loads(body)["alert_id"] for _, body in hooked]
                texts = [json.loads(body)["text"] for _, body in slacked]
                mails = [mail for mail in box.mails if b"Message-ID: <to-all@headrace>" in mail]
                return "to-all" in ids and "[critical, open] of to-all" in texts and bool(mails)

            wait_for(told, 60.0, lambda: f"{hooked} {slacked} {box}")
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()
            stack.settings.paths().notify.unlink()
    assert all(login == ("headrace", "s3cret", True) for login in box.logins)
    log = (stack.settings.paths().logs / "notify.log").read_text()
    assert "s3cret" not in log
    assert slack not in log, "an address may be a secret"
