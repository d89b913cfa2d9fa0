"""Mail to a real SMTP server: STARTTLS whose certificate is checked, a login over it only, refusals and repeats."""

import datetime
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace.sinks.notify.base import NotTaken, NotWanted, Target
from headrace.sinks.notify.mail import Mail
from headrace.sinks.notify.tell import Teller
from headrace.testing.mail_server import HOST, Mailbox, mail_server

NOW = datetime.datetime(2026, 11, 23, 8, tzinfo=datetime.UTC)
LOGIN = ("headrace", "s3cret")
CERTIFICATE = Path("tests/golden/tls/localhost.pem")


def alert() -> dict[str, Any]:
    return {
        "alert_id": "abc", "dataset": "orders", "severity": "critical", "state": "open", "silenced": False,
        "message": "7 % missing", "hint": "look", "rows_at_risk": 7, "owner": "ann", "raised_at": NOW,
    }  # fmt: skip


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return what a server shows that this process trusts; the login's password is in the environment."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("MAIL_PASSWORD", LOGIN[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def mail(box: Mailbox, **options: Any) -> Mail:
    return Mail({"host": HOST, "port": box.port, "from": "a@x", "to": "b@x"} | options)


def with_login(box: Mailbox) -> Mail:
    return mail(box, user=LOGIN[0], passwordEnv="MAIL_PASSWORD")


def test_mail_goes_over_starttls_and_logs_in_only_then(tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls, login=LOGIN) as box:
        with_login(box).deliver(alert())
    assert box.logins == [(*LOGIN, True)]
    assert box.commands.index("STARTTLS") < box.commands.index("AUTH") < box.commands.index("DATA")
    (sent,) = box.mails
    assert b"Subject: headrace [critical, open] 7 % missing" in sent
    assert b"Message-ID: <abc@headrace>" in sent


def test_certificate_that_nobody_vouches_for_gets_no_mail_and_no_password(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(tls=tls, login=LOGIN) as box, pytest.raises(NotTaken, match="SSLCertVerificationError"):
        with_login(box).deliver(alert())
    assert (box.logins, box.mails) == ([], [])


def test_server_without_starttls_gets_no_mail_unless_that_is_asked_for() -> None:
    with mail_server() as box:
        with pytest.raises(NotTaken):
            mail(box).deliver(alert())
        assert box.mails == []
        mail(box, tls="none").deliver(alert())
    assert len(box.mails) == 1


def test_wrong_password_is_not_wanted(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "other")
    with mail_server(tls=tls, login=LOGIN) as box, pytest.raises(NotWanted, match="535") as refused:
        with_login(box).deliver(alert())
    assert "other" not in str(refused.value)
    assert box.mails == []


@pytest.mark.parametrize("word", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("code", "kind"), [(451, NotTaken), (550, NotWanted)])
def test_refusal_is_for_good_with_5xx_and_for_now_with_4xx(
    word: str, code: int, kind: type[NotTaken] | type[NotWanted]
) -> None:
    with mail_server(answers={word: [code]}) as box, pytest.raises(kind, match=str(code)):
        mail(box, tls="none").deliver(alert())
    assert box.mails == []


def test_busy_server_gets_the_mail_again_and_a_refusing_one_does_not() -> None:
    with mail_server(answers={"RCPT": [451, 250]}) as box:
        teller = Teller(Target("desk", mail(box, tls="none")), threading.Event(), now=NOW.timestamp, first=0.01)
        assert teller.tell(alert())
    assert (box.commands.count("RCPT"), len(box.mails)) == (2, 1)
    with mail_server(answers={"RCPT": [550]}) as box:
        teller = Teller(Target("desk", mail(box, tls="none")), threading.Event(), now=NOW.timestamp, first=0.01)
        assert teller.tell(alert())
    assert (box.commands.count("RCPT"), len(box.mails)) == (1, 0)


def test_server_that_is_away_is_not_taken() -> None:
    with mail_server() as box:
        pass
    with pytest.raises(NotTaken, match="ConnectionRefusedError"):
        mail(box, tls="none").deliver(alert())
