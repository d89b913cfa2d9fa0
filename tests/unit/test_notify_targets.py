"""Notifiers against real local servers: signed webhooks, Slack's form, SMTP; repeats, filters, no secret in logs."""

import hashlib
import hmac
import json
import logging
import socketserver
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.errors import WrongUse
from headrace.sinks.notify.base import NotWanted, Target, read_targets
from headrace.sinks.notify.mail import Mail
from headrace.sinks.notify.tell import Teller
from headrace.sinks.notify.web import SIGNATURE, Slack, Webhook
from headrace.testing.receiver import receiver

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def alert(**changed: Any) -> dict[str, Any]:
    named = {"alert_id": "abc", "dataset": "orders", "severity": "critical", "state": "open", "silenced": False}
    told = {"message": "7 % <missing>", "hint": "look & see", "rows_at_risk": 7, "owner": "ann", "raised_at": NOW}
    return named | told | changed


class Smtp(socketserver.StreamRequestHandler):
    mails: list[bytes] = []  # noqa: RUF012  one server a test

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    mail += line
                self.mails.append(mail)
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def test_webhook_is_signed_over_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    with receiver(200) as (url, got):
        Webhook({"url": url, "secretEnv": "HOOK_SECRET"}).deliver(alert())
    headers, body = got[0]
    assert json.loads(body)["alert_id"] == "abc"
    assert headers[SIGNATURE] == f"sha256={hmac.new(b's3cret', body, hashlib.sha256).hexdigest()}"


def test_slack_gets_text_and_blocks_without_markup_of_the_data() -> None:
    with receiver(200) as (url, got):
        Slack({"url": url}).deliver(alert())
    body = json.loads(got[0][1])
    assert body["text"] == "[critical, open] 7 % &lt;missing&gt;"
    assert "look &amp; see" in body["blocks"][1]["text"]["text"]


def test_mail_server_gets_a_message() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Smtp) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        Mail(
            {"host": "127.0.0.1", "port": server.server_address[1], "tls": "none", "from": "a@x", "to": "b@x"}
        ).deliver(alert())
        thread.join()
    mail = Smtp.mails.pop()
    assert b"Subject: headrace [critical, open] 7 % <missing>" in mail
    assert b"Message-ID: <abc@headrace>" in mail


def test_busy_receiver_gets_the_alert_again_and_a_repeat_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver(503, 429, 200) as (url, got), caplog.at_level(logging.DEBUG, "headrace"):
        monkeypatch.setenv("HOOK_URL", f"{url}?token=s3cret")
        teller = Teller(Target("x", Webhook({"urlEnv": "HOOK_URL"})), threading.Event(), now=NOW.timestamp, first=0.01)
        assert teller.tell(alert())
        assert teller.tell(alert())
    assert len(got) == 3
    assert "s3cret" not in "".join(str(vars(record)) for record in caplog.records)


def test_refused_alert_is_passed_over() -> None:
    with receiver(400) as (url, got):
        with pytest.raises(NotWanted):
            Webhook({"url": url}).deliver(alert())
        assert Teller(Target("x", Webhook({"url": url})), threading.Event(), now=NOW.timestamp).tell(alert())
    assert len(got) == 2


def test_receiver_that_is_away_does_not_hold_a_stop() -> None:
    stop = threading.Event()
    with receiver(200) as (url, _):
        pass
    threading.Timer(0.05, stop.set).start()
    assert not Teller(Target("x", Webhook({"url": url})), stop, now=NOW.timestamp, first=30.0).tell(alert())


@pytest.mark.parametrize(
    "changed", [{"silenced": True}, {"severity": "info"}, {"state": "still"}, {"dataset": "other"}]
)
def test_target_is_told_of_what_it_asked_for(changed: dict[str, Any]) -> None:
    (target,) = read_targets(
        "[{name: ops, type: webhook, options: {url: 'http://x/y'}, severities: [critical], datasets: [orders]}]"
    )
    assert target.wants(alert(), NOW.timestamp())
    assert not target.wants(alert(**changed), NOW.timestamp())
    assert not target.wants(alert(), NOW.timestamp() + 90_000)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1", "[]", "[{name: x}]", "[{name: x, type: pigeon}]", "[{name: x, type: webhook}]",
        "[{name: x, type: webhook, options: {url: 'ftp://x'}}]", "[{name: x, type: webhook, option: {}}]",
        "[{name: x, type: webhook, options: {url: 'http://x', secretEnv: NOT_SET_ANYWHERE}}]",
        "[{name: x, type: webhook, options: {url: 'http://x'}, states: [opened]}]",
        "[{name: x, type: mail, options: {host: h, from: a, to: b, tls: none, user: u, passwordEnv: HOME}}]",
    ],
)  # fmt: skip
def test_configuration_that_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(WrongUse):
        read_targets(text)
