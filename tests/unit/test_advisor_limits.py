"""What the advisor cannot look into is told and left as it is: it goes on with the next message."""

import logging
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import ContractInvalid, WarehouseRefused
from headrace.observability.tracing import FileTracer
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_store import ContractStore, shipped_contract
from headrace.settings import Settings
from headrace.stream_processors.advisor import Advisor, _Out
from headrace.stream_processors.alert_evidence import AlertEvidence
from headrace.stream_processors.evidence import Investigator
from headrace.transport.partition_reader import Place
from headrace.transport.warehouse import Warehouse

WINDOW: dict[str, Any] = {
    "dataset": "flights",
    "contract_version": "1.0.0+0",
    "clock": "event",
    "start": 0,
    "end": 60,
    "closed_at": 60,
    "verdicts": [],
}


class Sent:
    """A message as a consumer gives it."""

    def value(self) -> bytes:
        return b"an alert"

    def headers(self) -> None:
        return None


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [record.__dict__["headrace"] for record in caplog.records if record.message == "evidence missing"]
    return [(one["rule"], one["cause"]) for one in found]


def test_recorded_contract_that_cannot_be_followed_is_told_and_does_not_end_the_advisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_store: ContractStore, _dataset: str, _version: str) -> None:
        raise ContractInvalid("the check acme_tide is not installed", hint="install it")

    monkeypatch.setattr(ContractStore, "by_version", refuse)
    alert = {"class": "quality", "dataset": "flights", "contract_version": "1.0.0+0"}
    monkeypatch.setattr(Advisor, "_read", lambda _self, _name, _value: alert)
    out = _Out()
    with (
        closing(Advisor(Settings(home=tmp_path), threading.Event(), FileTracer(lambda _span: None))) as advisor,
        caplog.at_level(logging.WARNING),
    ):
        advisor._on_window(out, WINDOW)
        advisor._handle(out, Place("quality.alerts", 0), Sent())
    assert told(caplog) == [("contract", "the check acme_tide is not installed")] * 2
    assert (out.alerts, out.given) == ([], [])


def test_alert_of_a_file_stays_as_it_is_where_the_warehouse_refuses(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Warehouse):
        def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
            raise WarehouseRefused("no such table", hint="")

    text = shipped_contract("flights")
    assert text is not None
    warehouse = Refusing(Settings(home=Path("/nowhere")))
    evidence = AlertEvidence(warehouse, Investigator(warehouse, lambda _: None), threading.Event())
    alert = {
        "dataset": "flights",
        "rule": "rejected_share",
        "state": "open",
        "subject": "",
        "window_start": None,
        "file": "f" * 16,
        "reasons": {"required": 5},
        "raised_at": 0,
    } | dict.fromkeys(("segments", "samples", "advice_id", "file_name", "trace_id"), "")
    with caplog.at_level(logging.WARNING):
        found, given = evidence.enriched(parse_contract(text, "f.odcs.yaml"), alert, lambda _: True)
    assert given == []
    assert found is None
    assert told(caplog) == [("rejected_share", "no such table")]
