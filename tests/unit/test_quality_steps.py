"""Score, alert life and segments: what windows are worth, when people are told, and where a problem is."""

import dataclasses
import itertools
import math
import random
from dataclasses import replace

import pytest

from headrace.core.vocabulary import AlertState
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension
from headrace.schemas.system import frame_system, read_system
from headrace.stream_processors.checks.base import Outcome, Verdict, not_checked
from headrace.stream_processors.steps.advice import advice_record
from headrace.stream_processors.steps.advise import Finding, advise
from headrace.stream_processors.steps.alert_life import (
    Life,
    LifeState,
    flapping,
    step,
    subject_of,
    transition_id,
)
from headrace.stream_processors.steps.score import Judged, loss, rescored, score, trend
from headrace.stream_processors.steps.segments import Counted, rank
from headrace.stream_processors.steps.window_record import verdict_record

F, P, N = Outcome.FAIL, Outcome.PASS, Outcome.NOT_CHECKED


def judged(name: str, outcome: Outcome, observed: float = 0.0, weight: float = 1.0, field: str = "") -> Judged:
    rule = CheckRule(name, "null_rate", (field,) if field else (), weight=weight, dimension=Dimension.COMPLETENESS)
    return Judged(rule, Verdict(outcome, observed, bounds=Bounds(upper=2.0)))


def test_loss_grows_with_the_breach_and_stops_at_one() -> None:
    upper, lower = Bounds(upper=2.0), Bounds(lower=100.0)
    assert [loss(Verdict(F, value, bounds=upper)) for value in (2.5, 3.0, 4.0, 99.0)] == [0.25, 0.5, 1.0, 1.0]
    assert loss(Verdict(F, 75.0, bounds=lower)) == 0.25
    assert loss(Verdict(F, math.nan, bounds=upper)) == 1.0
    assert loss(Verdict(F)) == 1.0
    assert loss(Verdict(F, 5.0, bounds=Bounds(1.0, 9.0, inside=False))) == 1.0


def test_loss_is_of_the_rows_that_a_finding_concerns() -> None:
    nothing, few = Bounds(upper=0.0), Bounds(upper=2.0)
    assert loss(Verdict(F, 1.0, bounds=nothing, rows=1_000_000, rows_at_risk=1)) == pytest.approx(1e-6)
    assert loss(Verdict(F, 0.4, bounds=nothing, rows=1000, rows_at_risk=4)) == pytest.approx(0.004)
    assert loss(Verdict(F, 3.0, bounds=few, rows=100, rows_at_risk=3)) == pytest.approx(0.5 * 0.03)
    assert loss(Verdict(F, 50.0, bounds=few, rows=100, rows_at_risk=50)) == pytest.approx(0.5)
    assert loss(Verdict(F, 1.0, bounds=nothing, rows=100, rows_at_risk=100)) == 1.0
    found = score([Judged(CheckRule("u", "duplicate_key", ("id",)), Verdict(F, 1.0, 0.0, nothing, 1_000_000, 1))], [])
    assert found.total == pytest.approx(99.9999)


def test_stored_verdicts_give_the_score_that_the_window_had() -> None:
    seeded = random.Random(7)
    for _ in range(100):
        rules = []
        for number in range(8):
            bounds = seeded.choice((Bounds(upper=2.0), Bounds(lower=3.0), Bounds(upper=0.0), Bounds(1.0, 9.0), None))
            outcome, value = seeded.choice((F, P, N)), seeded.uniform(0, 12)
            fields = tuple(seeded.sample(["x", "y", "z"], seeded.randint(0, 2)))
            rule = CheckRule(str(number), "null_rate", fields, weight=seeded.uniform(0.5, 3))
            verdict = Verdict(outcome, value, bounds=bounds, rows=100, rows_at_risk=seeded.randint(0, 100))
            rules.append(Judged(rule, verdict))
        found = score(rules, ["x", "y", "z"], critical={"x", "y"})
        again = rescored([verdict_record(one, "", ()) for one in rules], critical={"x", "y"})
        assert again == replace(found, unchecked=())


def test_score_shows_the_worst_field_beside_the_mean_and_what_was_not_checked() -> None:
    rules = [
        judged("a", P, field="x"),
        judged("b", F, 3.0, weight=3.0, field="y"),
        Judged(CheckRule("c", "psi_drift", ("z",)), not_checked("no reference")),
    ]
    found = score(rules, ["x", "y", "z", "w"], critical={"y"})
    assert found.total == pytest.approx(62.5)
    assert (found.worst_field, found.worst_score) == ("y", 50.0)
    assert (found.checked, found.declared) == (2, 3)
    assert found.unchecked == ("c: no reference", "w: no rule looks at it")


def test_nothing_checked_is_no_score_and_not_a_full_one() -> None:
    found = score([Judged(CheckRule("c", "psi_drift", ("z",)), not_checked("no reference"))], ["z"])
    assert found.total is None
    assert found.worst_score is None


def test_score_is_never_below_the_worst_nor_above_the_best_rule() -> None:
    seeded = random.Random(4)
    for _ in range(200):
        rules = [
            judged(str(number), seeded.choice((F, P)), seeded.uniform(2, 5), seeded.uniform(0.1, 5), field="x")
            for number in range(6)
        ]
        losses = [one.loss for one in rules]
        found = score(rules, ["x"]).total
        assert found is not None
        assert 100 * (1 - max(losses)) - 1e-9 <= found <= 100 * (1 - min(losses)) + 1e-9


def test_trend_compares_with_the_median() -> None:
    assert trend([50.0]) is None
    assert trend([90.0, 100.0, 95.0]) == 0.0


def run(outcomes: list[Outcome], life: Life) -> list[AlertState | None]:
    state, told = LifeState(), []
    for start, outcome in enumerate(outcomes):
        state, transition = step(state, outcome, start, life)
        state = LifeState.from_json(state.to_json())
        told.append(transition)
    return told


def test_alert_opens_is_told_again_and_is_resolved() -> None:
    life = Life(open_after=2, still_every=3, resolve_after=2)
    told = run([F, F, F, F, F, P, F, P, P, P], life)
    expected = {1: AlertState.OPEN, 4: AlertState.STILL, 8: AlertState.RESOLVED}
    assert told == [expected.get(number) for number in range(10)]


def test_window_without_a_verdict_neither_opens_nor_resolves() -> None:
    told = run([N, F, N, P, N, P], Life())
    assert [one for one in told if one] == [AlertState.OPEN, AlertState.RESOLVED]
    assert told[5] is AlertState.RESOLVED


def test_window_that_was_stepped_before_changes_nothing() -> None:
    state, _ = step(LifeState(), F, 100)
    assert step(state, P, 100) == (state, None)
    assert step(state, P, 40) == (state, None)


def test_flapping_subject_is_damped() -> None:
    life = Life(resolve_after=1, flaps=4, flap_windows=24, damped=4)
    told = run([F, P] * 10, life)
    assert len([one for one in told if one]) == 5
    state = LifeState()
    for start, outcome in enumerate([F, P, F, P]):
        state, _ = step(state, outcome, start, life)
    assert flapping(state, life)


def test_life_alternates_whatever_happens() -> None:
    seeded = random.Random(7)
    for _ in range(300):
        told = run([seeded.choice((F, P, N)) for _ in range(40)], Life(still_every=3))
        changes = [one for one in told if one and one is not AlertState.STILL]
        wanted = itertools.cycle((AlertState.OPEN, AlertState.RESOLVED))
        assert changes == [next(wanted) for _ in changes]


def test_transition_ids_follow_from_the_finding() -> None:
    subject = subject_of("flights", "volume", "event")
    assert transition_id(subject, 60, AlertState.OPEN) == transition_id(subject, 60, AlertState.OPEN)
    ids = {transition_id(subject, start, state) for start in (0, 60) for state in AlertState}
    assert len(ids) == 6


def test_segment_that_holds_the_problem_is_found_and_chance_is_not() -> None:
    even = [Counted({"origin": name}, 30 + number, 10_000) for number, name in enumerate(("EWR", "JFK", "LGA"))]
    storm = Counted({"day": "2013-02-08"}, 400, 900)
    quiet = Counted({"day": "2013-02-01"}, 3, 900)
    found = rank([*even, storm, quiet], failed=500, total=30_000)
    assert [segment.name for segment in found] == ["day=2013-02-08"]
    assert found[0].lift == pytest.approx(26.67, abs=0.01)
    assert found[0].share == 0.8


def test_combination_is_named_only_where_it_is_sharper() -> None:
    one = Counted({"origin": "EWR"}, 400, 10_000)
    same = Counted({"origin": "EWR", "carrier": "UA"}, 200, 4_000)
    sharp = Counted({"origin": "EWR", "carrier": "EV"}, 390, 1_000)
    assert [segment.name for segment in rank([one, same], 500, 30_000)] == ["origin=EWR"]
    assert rank([one, sharp], 500, 30_000)[0].name == "origin=EWR, carrier=EV"


def test_two_sources_with_equal_counts_are_both_named() -> None:
    twice = [Counted({"device": name}, 100, 100) for name in ("D3", "D4")]
    assert [segment.name for segment in rank(twice, 200, 1_000)] == ["device=D3", "device=D4"]


def test_small_support_is_no_finding() -> None:
    assert rank([Counted({"a": "b"}, 4, 4)], 4, 10_000) == []
    assert rank([Counted({"a": "b"}, 4, 4)], 0, 10_000) == []


def storm() -> Finding:
    days = rank([Counted({"date": "2013-02-08"}, 472, 930), Counted({"date": "2013-02-09"}, 393, 684)], 8_255, 336_776)
    return Finding(
        "flights",
        "departed",
        "null_rate",
        "dep_time",
        rows=336_776,
        rows_at_risk=8_255,
        segments=days,
        together={"dep_delay": 1.0, "air_time": 1.0, "tailnum": 0.3},
        meaning="the flight was cancelled",
    )


def test_missing_departures_are_traced_to_the_cancelled_days() -> None:
    [advice] = advise(storm())
    assert advice.symptom == "absent_events"
    assert "2013-02-08" in advice.segment
    assert "2013-02-09" in advice.segment
    assert "the flight was cancelled" in advice.cause
    assert any("air_time, dep_delay are missing too" in text for text in advice.evidence)
    assert advice.id == advise(storm())[0].id


def test_cause_names_the_days_and_what_others_saw_on_them() -> None:
    assert (
        "Most of it was on 8 and 9 February 2013: a storm or similar event on these days." in advise(storm())[0].cause
    )
    [advice] = advise(
        dataclasses.replace(storm(), elsewhere=["weather on these days: wind_speed 20 where 10 is usual"])
    )
    assert "a storm or similar event on these days, as weather shows." in advice.cause
    assert "weather on these days: wind_speed 20 where 10 is usual." in advice.evidence


def test_source_of_nulls_is_named_without_the_day_on_which_it_was_seen() -> None:
    first = [Counted({"device": "S9", "date": "2026-03-04"}, 90, 100), Counted({"device": "S9"}, 90, 2_000)]
    [advice] = advise(Finding("readings", "r", "null_rate", "temperature", segments=rank(first, 100, 10_000)))
    assert advice.segment == "device=S9"


def test_nulls_of_one_source_name_it() -> None:
    segments = rank([Counted({"device": "S9"}, 90, 100)], 100, 10_000)
    [advice] = advise(Finding("readings", "r", "null_rate", "temperature", segments=segments, rows_at_risk=100))
    assert (advice.symptom, advice.segment) == ("concentrated_nulls", "device=S9")
    assert "mandatory at device=S9" in advice.action


def test_nulls_of_files_and_weekdays_that_the_absent_event_explains_name_no_source() -> None:
    friday = rank([Counted({"weekday": "Friday", "_file": "fb4f"}, 500, 3_000)], 8_255, 336_776)
    explained = dataclasses.replace(storm(), segments=[*storm().segments, *friday])
    assert [advice.symptom for advice in advise(explained)] == ["absent_events"]
    alone = rank([Counted({"origin": "LGA", "carrier": "MQ"}, 90, 1_000)], 100, 336_776)
    both = advise(dataclasses.replace(explained, unexplained=alone))
    assert {advice.symptom: advice.rows_at_risk for advice in both}["concentrated_nulls"] == 90


@pytest.mark.parametrize(
    ("finding", "symptom"),
    [
        (Finding("d", "r", "category_drift", "x", unseen=["Newyork"], known=["New York", "Boston"]), "near_categories"),
        (Finding("d", "r", "late_rate"), "late_records"),
        (Finding("d", "r", "unit_shift", "x"), "unit_shift"),
    ],
)
def test_each_symptom_has_its_advice(finding: Finding, symptom: str) -> None:
    assert [advice.symptom for advice in advise(finding)] == [symptom]


def test_finding_that_nobody_understands_calls_for_none() -> None:
    assert advise(Finding("d", "r", "range", "x")) == []
    assert advise(Finding("d", "r", "category_drift", "x", unseen=["Paris"], known=["Boston"])) == []


def test_advice_record_fits_its_schema() -> None:
    record = advice_record(advise(storm())[0], owner="o", contract_version="1", alert_ids=["a"], raised_at=5)
    assert read_system("advice", frame_system("advice", 1, record))["rows_at_risk"] == 8_255
