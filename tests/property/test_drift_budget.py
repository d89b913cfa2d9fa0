"""Drift checks keep to their false-alarm budget on stable windows and find shifts of stated sizes."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.drift import ROWS, STABLE, SUBJECTS, TRIALS, Measured, Subject, measure, shift_cells, stable_table
from headrace.errors import ContractInvalid
from headrace.schemas.contract import Contract, parse_contract
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.checks.noise import poisson_above
from headrace.stream_processors.steps.drift_rank import Seen, effect_of, ranked

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "drift.md"
BY_NAME = {subject.name: subject for subject in SUBJECTS}
# What each check claims of windows of 1,000 rows: shift, least share of the windows in which it is found at once.
CLAIMS = {
    "psi_drift dep_delay": {"mean +0.25 std": 95, "mean +0.5 std": 95, "mean +1 std": 95, "spread x 1.5": 95},
    "psi_drift air_time": {"mean +0.25 std": 95, "mean +0.5 std": 95, "mean +1 std": 95, "spread x 1.5": 95},
    "psi_drift air_time threshold=0.05": {"mean +0.1 std": 95, "mean +0.25 std": 95},
    "quantile_bounds air_time reference=trailing:P7D": {"mean +0.5 std": 95, "mean +1 std": 95},
    "unit_shift air_time": {"x 1000": 95, "x 60": 95, "/ 60": 95, "x 1.609": 90},
    "unit_shift distance": {"x 1000": 95, "x 60": 90, "/ 60": 90, "x 1.609": 70},
    "unit_shift temp": {"1.8x + 32": 95},
    "category_drift carrier": {"2 % new": 90, "5 % new": 95, "5 % moved": 90, "10 % moved": 95, "15 % moved": 95},
    "category_drift origin": {"2 % new": 90, "5 % new": 95, "15 % moved": 90},
    "metric_anomaly dep_time": {"+5 points": 90},
    "metric_anomaly air_time": {"mean +0.5 std": 95, "mean +1 std": 95},
    "volume_anomaly": {"-50 %": 95, "silence": 95},
}
MISSED = {("metric_anomaly dep_time", "+1 points"), ("psi_drift air_time", "mean +0.1 std")}


@functools.cache
def measured(name: str) -> Measured:
    """Return the published figures of a check with windows of 1,000 rows."""
    return measure(BY_NAME[name], 1_000)


def test_a_thousand_stable_windows_of_every_check_stay_within_the_default_budget() -> None:
    found = [measured(name) for name in CLAIMS]
    assert sum(one.alarms for one in found) <= poisson_above(1e-4 * STABLE * len(found), 1e-4)
    assert sum(one.unknown for one in found) == 0


@pytest.mark.parametrize("name", CLAIMS)
def test_a_shift_of_a_stated_size_is_found_in_its_first_window_and_better_than_by_the_dummies(name: str) -> None:
    one = measured(name)
    found = {shift.name: shift for shift in one.found}
    for shift, least in CLAIMS[name].items():
        assert found[shift].first >= least, shift
        assert found[shift].delay == 0
    claimed = replace(one, found=tuple(found[shift] for shift in CLAIMS[name]))
    check, _, always, never = claimed.scores
    assert check > 0.9 > always > never


def test_what_is_below_a_bound_is_published_as_missed() -> None:
    for name, shift in MISSED:
        assert next(found for found in measured(name).found if found.name == shift).first < 10


@pytest.mark.parametrize("rows", [200, 10_000])
@pytest.mark.parametrize(
    ("check", "column"), [("psi_drift", "air_time"), ("psi_drift", "dep_delay"), ("category_drift", "origin")]
)
def test_the_noise_floor_is_passed_as_often_as_its_chance_says(check: str, column: str, rows: int) -> None:
    wide = {"unseen": 1.0} if check == "category_drift" else {}
    subject = Subject(check, column, (), {"threshold": 1e-9, "chance": 0.01, **wide})
    assert 2 <= measure(subject, rows, STABLE, 0).alarms <= poisson_above(0.01 * STABLE, 1e-3)


def test_the_page_holds_the_figures_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in CLAIMS:
        one = measured(name)
        assert stable_table([one])[-1] in page
        for shift in one.found:
            line = next(line for line in page.splitlines() if line.startswith(f"| {name} | {shift.name} |"))
            assert shift_cells(shift) in line
    assert f"{TRIALS} trials" in page
    assert all(f"{rows:,}" in page for rows in ROWS)


DRIFT = {"name": "x", "logicalType": "number", "quality": []}


def contract(budget: object, checks: list[str], window: str = "PT1H") -> Contract:
    """Return a contract with these checks on a number and this budget."""
    quality = [
        {"id": f"c{number}", "type": "custom", "engine": "headrace", "implementation": text}
        for number, text in enumerate(checks)
    ]
    fields: list[dict[str, Any]] = [
        {"name": "at", "logicalType": "timestamp"},
        DRIFT | {"quality": quality},
    ]
    schema = {"name": "d", "properties": fields, "customProperties": [{"property": "window", "value": window}]}
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "d", "version": "1", "status": "active"}
    own = [{"property": "headrace.falseAlarms", "value": budget}] if budget is not None else []
    return parse_contract(yaml.safe_dump(head | {"customProperties": own, "schema": [schema]}), "d")


PSI, UNIT, NULLS = "check: psi_drift", "check: unit_shift", "check: null_rate\natMost: 2\nunit: percent"


def chances(found: Contract) -> list[Any]:
    """Return the chance of each rule."""
    return [rule.parameters.get("chance") for rule in found.checks]


def test_a_budget_is_shared_out_over_rules_windows_and_clocks() -> None:
    shared = 1 / (2 * 168 * 2)
    assert chances(contract({"atMost": 1, "per": "P7D"}, [PSI, UNIT, NULLS])) == [shared, shared, None]
    assert chances(contract(None, [PSI, UNIT, NULLS])) == [None, None, None]
    own = contract({"atMost": 1, "per": "P7D"}, [PSI, f"{UNIT}\nchance: 0.001"])
    assert chances(own) == [pytest.approx((1 - 0.336) / 336), 0.001]
    assert chances(contract({"atMost": 500, "per": "P7D"}, [PSI])) == [0.05]
    assert "falseAlarms" in contract({"atMost": 1, "per": "P7D"}, [NULLS]).unchecked[-1]


@pytest.mark.parametrize(
    ("budget", "checks", "told"),
    [
        ({"atMost": 0.1, "per": "P366D"}, [PSI] * 3, "the least chance is 1e-09"),
        ({"atMost": 0.1, "per": "P7D"}, [f"{PSI}\nchance: 0.01"], "rules with a chance of their own use 3.36"),
        ({"atMost": 0, "per": "P7D"}, [PSI], "write a number above 0"),
        ({"atMost": 1, "per": "weekly"}, [PSI], "write an ISO 8601 duration"),
        ({"atmost": 1, "per": "P7D"}, [PSI], 'did you mean "atMost"'),
        ("1 per week", [PSI], "write {atMost: 1, per: P7D}"),
    ],
)
def test_a_budget_that_cannot_be_met_is_refused_with_what_can(budget: object, checks: list[str], told: str) -> None:
    with pytest.raises(ContractInvalid) as caught:
        contract(budget, checks, "PT1S" if "366" in told_period(budget) else "PT1H")
    assert told in str(caught.value)


def test_a_quantile_counts_for_the_budget_only_where_it_is_compared() -> None:
    bound, moved = "check: quantile_bounds\natMost: 3", "check: quantile_bounds\nreference: hour_of_week"
    shared = 1 / (168 * 2)
    assert chances(contract({"atMost": 1, "per": "P7D"}, [bound, moved])) == [None, shared]


def told_period(budget: object) -> str:
    """Return the period that a budget is for."""
    return str(budget.get("per")) if isinstance(budget, dict) else ""


def test_findings_are_ranked_by_the_share_of_rows_that_would_have_to_be_others() -> None:
    found = [
        Seen("psi", "psi_drift", 0.25, upper=0.2, rows=1000, rows_at_risk=1000),
        Seen("new", "category_drift", 0.03, upper=0.01, rows=1000, rows_at_risk=30),
        Seen("null", "null_rate", 12.0, upper=2.0, unit="percent", rows=1000),
        Seen("silent", "volume_anomaly", 0.0, 900.0, 1100.0, unit="rows"),
        Seen("unit", "unit_shift", 1000.0, rows=1000, rows_at_risk=1000),
    ]
    assert [one.rule for one in ranked(found)] == ["silent", "unit", "psi", "null", "new"]
    assert [one.word for one in ranked(found)] == ["strong", "strong", "clear", "noticeable", "slight"]
    assert effect_of(Seen("mean", "metric_anomaly", float("nan"))) == 0.0
    assert Verdict(Outcome.FAIL).observed is None
