"""Advice on sources: silent where nobody can say which source is off, and what advice from stored values is worth."""

from typing import Any

import pytest

from headrace.schemas.check_catalog import check_names
from headrace.stream_processors.steps.advice import Advice
from headrace.stream_processors.steps.advice_price import MEASURED_BY, priced
from headrace.stream_processors.steps.survey import unread
from headrace.stream_processors.steps.survey_sources import Source, bursts, by_version, hour_offsets, other_units


def source(name: str, factor: float = 1.0, shift: float = 0.0, rows: int = 100) -> Source:
    return Source("device", name, rows, *(factor * value + shift for value in (15.0, 20.0, 25.0)))


USUAL = [source(f"D{n}") for n in range(5)]


def test_source_in_another_unit_is_named() -> None:
    [advice] = other_units("d", "x", [*USUAL, source("D9", 25.4)], "q")
    assert (advice.segment, advice.rows_at_risk) == ("device=D9", 100)


@pytest.mark.parametrize(
    "sources",
    [
        USUAL,
        [source("D1"), source("D2", 2.54)],
        [*USUAL, source("D9", 1.3)],
        [*USUAL, source("D9", 2.54, rows=20)],
        [*USUAL[:2], *(source(f"D{n}", 2.54) for n in range(5, 8))],
        [*(source(f"D{n}", n) for n in range(1, 6)), source("D9", 25.4)],
    ],
)
def test_no_source_is_blamed_where_it_is_not_clear_which_one_is_off(sources: list[Source]) -> None:
    assert other_units("d", "x", sources, "q") == []


def delay(name: str, hours: float, spread: float = 60.0, rows: int = 100) -> Source:
    return Source("device", name, rows, 3_600 * hours - spread, 3_600 * hours, 3_600 * hours + spread)


def test_source_that_is_whole_hours_off_is_named_with_its_sign() -> None:
    [advice] = hour_offsets("d", "at", [*(delay(f"D{n}", 0.02) for n in range(4)), delay("D9", -2.0)], "q")
    assert advice.segment == "device=D9"
    assert "D9 by +2 h" in advice.evidence[0]


@pytest.mark.parametrize(
    "off", [delay("D9", 1.5), delay("D9", 2.0, spread=4_000.0), delay("D9", 2.0, rows=5), delay("D9", 20.0)]
)
def test_delay_that_is_no_steady_whole_hour_is_no_time_zone(off: Source) -> None:
    assert hour_offsets("d", "at", [*(delay(f"D{n}", 0.02) for n in range(4)), off], "q") == []


@pytest.mark.parametrize("hours", [[(2, 40, 9)], [(2, 100, 2)], [(2, 60, 9), (3, 50, 9), (4, 55, 9)], []])
def test_late_rows_of_many_hours_few_days_or_few_rows_are_no_burst(hours: list[tuple[int, int, int]]) -> None:
    assert bursts("d", hours, "q") == []


def test_version_is_named_only_where_it_stands_out() -> None:
    assert by_version([("a-v1.csv", 10, 50), ("a-v2.csv", 11, 50)]) == ("", "")
    assert by_version([("a.csv", 10, 50)]) == ("", "")
    [advice] = unread("d", [("b.csv", 40, 50), ("a.csv", 0, 50)], "q")
    assert (advice.segment, advice.rows_at_risk) == ("file=b.csv", 40)


def verdict(rule: str, check: str, field: str, loss: float, weight: float = 1.0) -> dict[str, Any]:
    return {"rule": rule, "check": check, "field": field, "loss": loss, "weight": weight}


def test_stored_values_are_worth_what_their_rule_costs_or_one_more_rule_would() -> None:
    found = [Advice("digit_heaping", "d", "x", "", (), "", "", 30, 0.0)]
    costs = [verdict("heaped", "dominance_heaping", "x", 0.5, 2.0), verdict("other", "null_rate", "x", 1.0, 3.0)]
    assert [(one.rule, one.expected_gain) for one in priced(found, costs, 6_000)] == [("heaped", 20.0)]
    passing = [verdict("heaped", "dominance_heaping", "x", 0.0), verdict("other", "dominance_heaping", "y", 1.0)]
    [one] = priced(found, passing, 6_000)
    assert one.rule == "heaped"
    assert one.expected_gain == pytest.approx(100 * 0.005 / 3)
    [one] = priced(found, [], 0)
    assert (one.rule, one.expected_gain) == ("", 0.0)


def test_checks_that_measure_advice_are_installed() -> None:
    assert set().union(*MEASURED_BY.values()) <= set(check_names())
