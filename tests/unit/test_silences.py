"""Silences: a file that a person edits; what cannot be followed silences nothing and is told."""

import logging
from pathlib import Path

import pytest

from headrace.errors import ContractInvalid
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_alerts import AlertLife
from headrace.schemas.silences import read_silences
from headrace.stream_processors.silences import Silences

YEAR_2030 = 1_893_456_000_000_000


def test_silence_covers_its_rule_and_dataset_until_its_time() -> None:
    (one, every) = read_silences(
        "- {rule: late, dataset: orders, until: 2030-01-01T00:00:00Z, why: x}\n- {rule: noise, until: 2030-01-01}"
    )
    assert one.covers("orders", "late", YEAR_2030 - 1)
    assert not one.covers("orders", "late", YEAR_2030)
    assert not one.covers("other", "late", 0)
    assert every.covers("anything", "noise", 0)
    assert read_silences("") == []


@pytest.mark.parametrize(
    "text", ["a: [", "rule: late", "- {rule: late}", "- {rule: late, untill: 2030-01-01}", "- {rule: 3, until: soon}"]
)
def test_file_that_cannot_be_followed_silences_nothing_and_is_told(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "silences.yaml"
    path.write_text("[{rule: late, until: 2030-01-01}]")
    silences = Silences(path)
    silences.refresh()
    assert silences.covers("orders", "late", 0)
    path.write_text(text + "\n")
    with caplog.at_level(logging.ERROR, "headrace"):
        silences.refresh()
        silences.refresh()
    assert not silences.covers("orders", "late", 0)
    assert [record.message for record in caplog.records] == ["silences unreadable"]
    path.unlink()
    silences.refresh()


def test_wrong_entry_silences_nothing_and_leaves_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "silences.yaml"
    path.write_text("- {rule: noise, until: 2030-01-01, reason: strike}\n- {rule: late, until: 2030-01-01}\n")
    silences = Silences(path)
    with caplog.at_level(logging.ERROR, "headrace"):
        silences.refresh()
    assert silences.covers("orders", "late", 0)
    assert not silences.covers("orders", "noise", 0), "what cannot be followed is told"
    (told,) = caplog.records
    assert "entry 1" in str(vars(told))
    assert "why" in str(vars(told)), "the error names the keys that there are"


def test_alert_of_a_file_is_silenced_by_its_rules_name_only() -> None:
    named, every = read_silences("[{rule: rejected_share, until: 2030-01-01}, {rule: '*', until: 2030-01-01}]")
    assert named.names("orders", "rejected_share", 0)
    assert not named.names("orders", "rejected_share", YEAR_2030)
    assert every.covers("orders", "rejected_share", 0)
    assert not every.names("orders", "rejected_share", 0)


def contract(life: str) -> str:
    return f"""apiVersion: v3.1.0
kind: DataContract
id: d
version: 1.0.0
status: active
customProperties: [{{property: headrace.alerts, value: {life}}}]
schema: [{{name: d, properties: [{{name: n, logicalType: integer}}]}}]
"""


def test_contract_says_how_alerts_come_and_go() -> None:
    assert parse_contract(contract("{openAfter: 2, resolveAfter: 5}")).alerts == AlertLife(2, 12, 5)


@pytest.mark.parametrize("life", ["{openafter: 2}", "{openAfter: 0}", "{stillEvery: true}", "[1]"])
def test_contract_with_a_life_of_alerts_that_cannot_be_followed_is_refused(life: str) -> None:
    with pytest.raises(ContractInvalid, match=r"openAfter|openafter|stillEvery|headrace\.alerts"):
        parse_contract(contract(life))
