"""Checks of completeness, conformity, coverage, time and repetition: good data passes, each injected fault is found."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named, check_names
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.expression import KIND_OF, Kind
from headrace.stream_processors.checks.base import Check, Outcome
from headrace.testing.check_rows import TYPES, frame, judged
from headrace.testing.check_rows import check_rule as rule

KINDS = {name: KIND_OF[kind] for name, kind in TYPES.items()}


@pytest.mark.parametrize(
    ("demand", "good", "bad", "failed"),
    [
        (rule("missing_rate", "name"), {"name": ["a", " b ", "-"]}, {"name": ["a", " \t\u00a0", None]}, 2),
        (rule("missing_rate", "name", blanks=False), {"name": ["a", " "]}, {"name": ["a", None]}, 1),
        (rule("missing_rate", "name", sentinels=["N/A", "-"]), {"name": ["a", "n/a"]}, {"name": ["-", "N/A", "a"]}, 2),
        (rule("missing_rate", "count", sentinels=[-999, ""]), {"count": [0, 999]}, {"count": [-999, 1, None]}, 2),
        (rule("missing_rate", "price", sentinels=[-9.5]), {"price": [9.5, 0.0]}, {"price": [-9.5, 1.0]}, 1),
        (
            rule("missing_rate", "day", sentinels=["1900-01-01"]),
            {"day": [date(2026, 1, 1)]},
            {"day": [date(1900, 1, 1), None]},
            2,
        ),
        (
            rule("complete_rows", "name", "count"),
            {"name": ["a"], "count": [1]},
            {"name": ["a", None, "c"], "count": [None, None, 3]},
            2,
        ),
        (
            rule("conditional_required", "price", when="ready and count > 1"),
            {"ready": [True, False, None, True], "count": [2, 2, 2, 1], "price": [1.0, None, None, None]},
            {"ready": [True, True, False], "count": [2, 3, 4], "price": [None, 1.0, None]},
            1,
        ),
        (
            rule("encoding", "name"),
            {"name": ["Ägypten", "tab\there", "línea\n", "€", None]},
            {"name": ["a\ufffd", "\x00", "\x9f", "Ã¤", "â€œ", "ok"]},
            5,
        ),
        (rule("encoding", "name", decoded_twice=False), {"name": ["Ã¤"]}, {"name": ["\x07"]}, 1),
        (
            rule("lossy_cast", "name", to="double"),
            {"name": ["1", "-1.5", "2e3", ".5", None]},
            {"name": ["1,5", "1 000", "12kg", "", "12345678901234567890"]},
            5,
        ),
        (rule("lossy_cast", "name", to="long"), {"name": ["+1", "-900"]}, {"name": ["1.0", "1.5"]}, 2),
        (
            rule("lossy_cast", "price", to="int"),
            {"price": [1.0, -2147483648.0]},
            {"price": [1.5, 2147483648.0, float("nan"), float("inf")]},
            4,
        ),
        (rule("lossy_cast", "price", to="float"), {"price": [0.5, 3.0, float("nan")]}, {"price": [0.1, 0.5]}, 1),
        (rule("lossy_cast", "count", to="double"), {"count": [2**53]}, {"count": [2**53 + 2, 1]}, 1),
        (
            rule("late_rate", after_secs=60),
            {"at": [0.0, None], "delay": [60.0, 99.0]},
            {"at": [0.0, 1.0], "delay": [60.5, 1.0]},
            1,
        ),
        (rule("future_time"), {"at": [0.0, 1.0], "delay": [-60.0, 5.0]}, {"at": [0.0, 1.0], "delay": [-60.5, 5.0]}, 1),
        (rule("future_time", "day"), {"day": [date(2026, 3, 2)]}, {"day": [date(2026, 3, 3)]}, 1),
        (rule("out_of_order"), {"at": [1.0, 1.0, None, 2.0]}, {"at": [2.0, 1.0, 3.0, 2.5]}, 2),
        (rule("out_of_order", tolerance_secs=1), {"at": [2.0, 1.0]}, {"at": [2.5, 1.0]}, 1),
        (
            rule("out_of_order", key=["name"]),
            {"name": ["a", "b", "a"], "at": [5.0, 1.0, 6.0]},
            {"name": ["a", "b", "a"], "at": [5.0, 1.0, 4.0]},
            1,
        ),
        (rule("sequence_gap", "count"), {"count": [3, 1, 2, 2, None]}, {"count": [1, 5, 3]}, 2),
        (
            rule("sequence_gap", "count", key=["name"]),
            {"name": ["a", "b", "a"], "count": [1, 9, 2]},
            {"name": ["a", "b", "a"], "count": [1, 9, 3]},
            1,
        ),
        (rule("sequence_gap", "at", step_secs=60), {"at": [0.0, 60.0, 119.0]}, {"at": [0.0, 180.0]}, 2),
        (rule("duplicate_key", "name"), {"name": ["a", "b", None, None]}, {"name": ["a", "b", "a"]}, 1),
        (
            rule("duplicate_key", "name", "count", unit=Unit.ROWS),
            {"name": ["a", "a"], "count": [1, 2]},
            {"name": ["a", "a"], "count": [1, 1]},
            1,
        ),
        (rule("segment_coverage", "name", segments=["a", "b"]), {"name": ["a", "b", "c"]}, {"name": ["a", "c"]}, 0),
        (
            rule("segment_coverage", "ready", segments=[True, False], at_least=2),
            {"ready": [True, False] * 2},
            {"ready": [True, True, False]},
            1,
        ),
        (rule("segment_coverage", "count", segments=[1, 2]), {"count": [1, 2]}, {"count": [2, 12]}, 0),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_good_data_passes_and_a_fault_is_found(
    demand: CheckRule, good: dict[str, Any], bad: dict[str, Any], failed: int
) -> None:
    passed = judged(demand, frame(**good))
    assert passed.outcome is Outcome.PASS, passed
    assert passed.rows_at_risk == 0
    found = judged(demand, frame(**bad))
    assert (found.outcome, found.rows_at_risk) == (Outcome.FAIL, failed), found


@pytest.mark.parametrize(
    ("demand", "columns"),
    [
        (rule("conditional_required", "price", when="count > 5"), {"count": [1, None], "price": [None, 1.0]}),
        (rule("late_rate", after_secs=1), {"at": [None, None]}),
        (rule("future_time"), {"at": [None]}),
        (rule("out_of_order"), {"at": [None]}),
        (rule("latency", bounds=Bounds(upper=1)), {"at": [None]}),
        (rule("arrival_delay", bounds=Bounds(upper=1)), {"at": [None]}),
        (rule("sequence_gap", "count"), {"count": pl.Series([None], dtype=pl.Int64)}),
        (rule("duplicate_key", "name", "count"), {"name": [None, "a"], "count": [1, None]}),
        (rule("replayed_file"), {"name": ["a"]}),
        (rule("schema_change"), {"name": ["a"]}),
        (rule("silent_source", "name"), {"name": ["a"]}),
        (rule("parse_errors"), {"name": ["a"]}),
        (rule("volume_anomaly"), {"name": ["a"]}),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_what_cannot_be_looked_at_is_not_checked(demand: CheckRule, columns: dict[str, Any]) -> None:
    found = judged(demand, frame(**columns))
    assert found.outcome is Outcome.NOT_CHECKED
    assert found.detail


@pytest.mark.parametrize(
    ("demand", "told"),
    [
        (rule("missing_rate", "ready"), "boolean"),
        (rule("missing_rate", "count", sentinels=["N/A"]), "write numbers"),
        (rule("missing_rate", "name", sentinels=[-999]), "write texts"),
        (rule("complete_rows", "name", unit=Unit.ROWS), "percent"),
        (rule("complete_rows", "nobody"), "nobody"),
        (rule("conditional_required", "price", when="count +"), "when:"),
        (rule("conditional_required", "price", when="nobody > 1"), "nobody"),
        (rule("encoding", "count"), "whole number"),
        (rule("lossy_cast", "ready", to="int"), "boolean"),
        (rule("lossy_cast", "price", to="double"), "loses nothing"),
        (rule("row_count"), "bound"),
        (rule("row_count", unit=Unit.PERCENT, bounds=Bounds(lower=1)), "rows"),
        (rule("latency", "name", bounds=Bounds(upper=1)), "text"),
        (rule("latency", "at"), "bound"),
        (rule("arrival_delay", "at"), "bound"),
        (rule("late_rate", "count", after_secs=1), "whole number"),
        (rule("future_time", field="name"), "text"),
        (rule("out_of_order", "at", key=["nobody"]), "nobody"),
        (rule("sequence_gap", "at"), "timestamp"),
        (rule("sequence_gap", "count", step_secs=60), "whole number"),
        (rule("sequence_gap", "count", key=["nobody"]), "nobody"),
        (rule("segment_coverage", "price", segments=["1"]), "number"),
        (rule("segment_coverage", "name", segments=["a"], unit=Unit.ROWS), "percent"),
        (rule("silent_source", "nobody"), "nobody"),
        (rule("duplicate_key", "nobody"), "nobody"),
        (rule("replayed_file", "nobody"), "nobody"),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_a_rule_that_cannot_be_followed_is_refused_when_it_is_read(demand: CheckRule, told: str) -> None:
    assert told in check_named(demand.check).problem(demand, KINDS)


def test_the_checks_that_judge_rows_and_only_they_have_a_reason() -> None:
    judging = {name for name in check_names() if type(check_named(name)).broken is not Check.broken}
    assert len(judging) >= 16
    assert {name for name in check_names() if check_named(name).reason is not None} == judging


def test_the_kinds_of_the_contract_are_enough_for_every_condition() -> None:
    assert KINDS["at"] is Kind.TIMESTAMP
    demand = rule("conditional_required", "price", when="at >= timestamp '2026-03-02T12:00:01Z' and name in ('a', 'b')")
    check = check_named("conditional_required")
    assert isinstance(check, Check)
    assert check.problem(demand, KINDS) == ""
    found = judged(demand, frame(name=["a", "a", "c"], at=[0.0, 1.0, 2.0], price=[None, 1.0, None]))
    assert found.outcome is Outcome.PASS
