"""A contract's budget of false alarms, kept through the table of windows; which reference a window is compared with."""

import functools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drift_data import Source
from benchmarks.drift_windows import (
    CONTRACT,
    SHIFTS,
    STABLE,
    TRIALS,
    Found,
    Stable,
    Table,
    World,
    contract,
    shifted,
    stable,
    stable_line,
    table_lines,
    world,
)
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_budget import FALSE_ALARMS
from headrace.schemas.contract_store import shipped_contract

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "drift.md"
WEEK, BUDGET = 168, 1
FOUND_AT_ONCE = {
    "air_time +0.25 std",
    "air_time +0.5 std",
    "air_time spread x 1.5",
    "air_time x 60",
    "carrier 2 % new",
    "carrier 5 % new",
    "carrier 10 % moved",
    "dep_time +5 points missing",
    "rows -50 %",
}
FOUND_LATER = {"dep_time +2 points missing", "rows -20 %"}


@functools.cache
def before() -> Stable:
    """Return the published thousand stable hours."""
    return stable()


@functools.cache
def found(name: str) -> Found:
    """Return the published figures of a shift."""
    return shifted(before(), name)


def test_budget_of_the_contract_is_in_its_rules() -> None:
    chances = {rule.id: rule.parameters.get("chance") for rule in contract().checks}
    assert set(chances) == {"rows", "distribution", "median", "unit", "carriers", "missing"}
    assert set(chances.values()) == {BUDGET / (6 * WEEK * 2)}


def test_a_thousand_stable_windows_through_the_table_stay_within_the_budget() -> None:
    assert before().windows == STABLE
    assert before().failed.total() <= BUDGET * STABLE / WEEK, before().failed
    # No budget is kept by never looking: each rule decided, most of them from the second window on.
    assert all(before().unknown[rule.id] < 0.7 * STABLE for rule in contract().checks)


@pytest.mark.parametrize("name", sorted(FOUND_AT_ONCE))
def test_injected_shift_is_found_in_its_first_window(name: str) -> None:
    assert found(name).first >= 90
    assert found(name).delay == 0


@pytest.mark.parametrize("name", sorted(FOUND_LATER))
def test_small_shift_is_found_within_hours(name: str) -> None:
    assert found(name).within >= 90
    assert (found(name).delay or 0) <= 6


def test_the_page_holds_the_table_that_the_bench_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert stable_line(before()) in page
    for line in table_lines([found(name) for name in SHIFTS]):
        assert line in page
    assert f"{TRIALS} trials" in page


def test_a_shipped_contract_has_a_budget() -> None:
    text = shipped_contract("flights") or ""
    assert FALSE_ALARMS in text
    tuned = [rule for rule in parse_contract(text, "flights").checks if rule.parameters.get("chance")]
    assert {rule.id: rule.parameters["chance"] for rule in tuned} == dict.fromkeys(
        ("usual_volume", "usual_airlines", "delays_predicted_as_before"), 1 / (365 * 2 * 3)
    )


def test_hour_of_week_compares_with_the_same_hour_of_earlier_weeks_and_with_no_other() -> None:
    """One hour of the week has other carriers than all others: only its own past knows that this is usual."""
    both = CONTRACT.replace(
        'implementation: "check: category_drift\\nreference: hour_of_week"',
        'implementation: "check: category_drift\\nreference: hour_of_week\\nchance: 0.0001"',
    ).replace(
        "      - name: dep_time\n",
        "          - id: last_week\n            type: custom\n            engine: headrace\n"
        '            implementation: "check: category_drift\\nchance: 0.0001"\n      - name: dep_time\n',
    )
    table, rng = Table(parse_contract(both, "hours")), np.random.default_rng(7)
    usual = world()
    columns = usual.carrier
    few = World(usual.air_time, Source(columns.values[:4], np.array([0.4, 0.3, 0.2, 0.1])))
    other = World(usual.air_time, Source(columns.values[-4:], np.array([0.4, 0.3, 0.2, 0.1])))
    special, outcomes = 57, dict[int, dict[str, str]]()
    for hour in range(4 * WEEK):
        # In the fourth week the special hour is as all others are, and the hour after it as the special one was.
        own = special if hour < 3 * WEEK else special + 1
        for window in table.feed(other if hour % WEEK == own else few, rng):
            outcomes[len(outcomes)] = {one["rule"]: one["outcome"] for one in window["verdicts"]}
    third, fourth = 2 * WEEK + special, 3 * WEEK + special
    assert (outcomes[third]["carriers"], outcomes[third]["last_week"]) == ("pass", "fail")
    assert (outcomes[fourth]["carriers"], outcomes[fourth + 1]["carriers"]) == ("fail", "fail")
    assert outcomes[fourth]["last_week"] == "pass", "it is as the week before was"
    quiet = [outcomes[hour]["carriers"] for hour in range(WEEK, 3 * WEEK)]
    assert "fail" not in quiet
    assert quiet.count("pass") > WEEK
