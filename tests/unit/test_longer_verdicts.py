"""Verdicts on longer windows say what they cannot be made of: several contracts, a check that is not installed."""

from dataclasses import replace

from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract import Contract
from headrace.stream_processors.checks.base import Outcome
from headrace.stream_processors.longer_verdicts import longer_judgements
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.steps.stored_state import Kept
from headrace.stream_processors.steps.window_state import Part
from headrace.stream_processors.warehouse_verdicts import Given

HOUR, DAY = 3_600, 86_400
SOURCES = CheckRule("sources", "silent_source", ("device",), {"sources": ["north"]})
GONE = CheckRule("gone", "check_of_a_plug_in_that_is_gone", ("device",))


def contract(*rules: CheckRule) -> Contract:
    return Contract("orders", "2", "", False, (), (), checks=rules, window=WindowSpec("at", HOUR))


def kept(hour: int, version: str) -> Kept:
    cells = {"sources": {"seen": pack_cell(LastSeen({"north": hour * HOUR + 60}))}}
    return Kept(hour * HOUR, version, 0, Part(hour * HOUR, version, 5, cells=cells))


def verdicts(law: Contract, *windows: Kept) -> dict[str, Given]:
    (day,) = longer_judgements(law, lambda version: replace(law, version=version), "event", windows, DAY)
    return {one.judged.rule.id: one for one in day.verdicts}


def test_a_day_that_two_contracts_closed_is_not_checked_though_the_rule_stayed() -> None:
    found = verdicts(contract(SOURCES), kept(0, "1"), kept(23, "2"))["sources"].judged.verdict
    assert found.outcome is Outcome.NOT_CHECKED
    assert found.detail == "its windows were closed by contracts 1, 2, whose figures are not put together"
    same = verdicts(contract(SOURCES), kept(0, "2"), kept(23, "2"))["sources"].judged.verdict
    assert same.outcome is Outcome.PASS


def test_a_check_that_is_not_installed_is_told_as_not_checked_beside_the_others() -> None:
    found = verdicts(contract(SOURCES, GONE), kept(0, "2"), kept(23, "2"))
    assert found["gone"].judged.verdict.outcome is Outcome.NOT_CHECKED
    assert "check_of_a_plug_in_that_is_gone" in found["gone"].judged.verdict.detail
    assert found["sources"].judged.verdict.outcome is Outcome.PASS
