"""Rules of advice on stored values: each fires on its evidence and is silent without it; gain, confidence and rank."""

import pytest

from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.stream_processors.steps.advice import Advice, needed_rows, ranked, rule_gain
from headrace.stream_processors.steps.survey import Facts, copies, survey, unread

NUMBER = Facts("d", "x", 5_000, 0, 400, number=True, low=10.0, high=350.0, whole=5_000, fives=1_000)
TEXT = Facts("d", "x", 5_000, 0, 2, text=True, top=[("Boston", 3_000), ("Dallas", 2_000)])


def changed(facts: Facts, **figures: object) -> Facts:
    return Facts(**(vars(facts) | figures))


@pytest.mark.parametrize(
    ("facts", "symptom"),
    [
        (changed(NUMBER, top=[("120", 90), ("999", 40)], high=300.0, low=20.0), "sentinels"),
        (changed(NUMBER, top=[("-1", 40), ("10", 20)], negative=40), "sentinels"),
        (changed(TEXT, top=[("Boston", 3_000), ("N/A", 2_000)]), "sentinels"),
        (changed(NUMBER, text=False, number=False, top=[("1900-01-01 00:00:00", 40)]), "sentinels"),
        (changed(NUMBER, fives=3_000), "digit_heaping"),
        (changed(NUMBER, whole=4_000, fives=800), "digit_heaping"),
        (changed(NUMBER, distinct=1, top=[("7", 5_000)]), "constant_field"),
        (changed(NUMBER, missing=4_990, whole=10, fives=2), "absent_field"),
        (changed(TEXT, distinct=3, top=[*TEXT.top, ("Bostom", 120)]), "near_categories"),
        (changed(TEXT, distinct=3, top=[*TEXT.top, ("BOSTON ", 120)]), "spelling_variants"),
        (changed(TEXT, distinct=3, top=[*TEXT.top, ("Boston Limited", 120)]), "name_variants"),
        (changed(TEXT, distinct=3, top=[*TEXT.top, ("Rome", 12)]), "under_sampled"),
        (changed(TEXT, personal=[("email", 400), ("phone", 0)]), "personal_data"),
    ],
)
def test_rule_fires_on_its_evidence(facts: Facts, symptom: str) -> None:
    assert [advice.symptom for advice in survey(facts)] == [symptom]


@pytest.mark.parametrize(
    "facts",
    [
        NUMBER,
        TEXT,
        changed(NUMBER, top=[("999", 40), ("998", 41)], high=990.0),
        changed(NUMBER, top=[("-1", 40), ("-2", 50)], negative=90, low=-2.0),
        changed(NUMBER, top=[("999", 4)]),
        changed(NUMBER, fives=3_000, distinct=12),
        changed(NUMBER, rows=900, whole=900, fives=900),
        changed(NUMBER, distinct=1, rows=900, whole=900, fives=0),
        changed(TEXT, rows=9_000, distinct=3, top=[*TEXT.top, ("Bostom", 2_900)]),
        changed(TEXT, rows=9_000, distinct=3, top=[("EV-10", 4_000), ("EV-11", 120), ("Boston", 3_000)]),
        changed(NUMBER, whole=4_000, fives=800, top=[("0.0", 3_800)]),
        changed(TEXT, personal=[("email", 3)]),
    ],
)
def test_rules_are_silent_without_evidence(facts: Facts) -> None:
    assert survey(facts) == []


def test_thin_segment_is_told_how_many_rows_it_needs() -> None:
    [advice] = survey(changed(TEXT, distinct=3, top=[*TEXT.top, ("Rome", 12)]))
    assert f"Rome has 12 and needs {needed_rows(0.5, 0.1, 12)} more" in advice.evidence[0]
    assert needed_rows(0.5, 0.1, 12) == 85


def test_files_that_came_twice_or_could_not_be_parsed_are_named() -> None:
    [twice] = copies("d", [("b.csv", "a.csv")], "SELECT 1")
    assert "b.csv (first a.csv)" in twice.evidence[0]
    [bad] = unread("d", [("v2.csv", 40, 50), ("v1.csv", 1, 50)], "SELECT 1")
    assert (bad.symptom, bad.segment, bad.rows_at_risk) == ("release_regression", "version=2", 41)
    assert copies("d", [], "") == unread("d", [], "") == []


def test_gain_is_the_rules_share_of_the_weights_times_its_loss() -> None:
    heavy = CheckRule("a", "null_rate", weight=3.0, bounds=Bounds(upper=10.0))
    rules = [heavy, CheckRule("b", "range")]
    assert rule_gain(heavy, rules, 15.0, None) == pytest.approx(37.5)
    assert rule_gain(rules[1], rules, 15.0, 10.0) == pytest.approx(12.5)
    assert rule_gain(heavy, [], 15.0, None) == 0.0


def advice(rows: int, gain: float, symptom: str = "sentinels") -> Advice:
    return Advice(symptom, "d", "x", "", (), "", "", rows, gain)


def test_advice_is_ranked_by_rows_gain_and_confidence() -> None:
    assert ranked([advice(100, 1.0), advice(100, 5.0), advice(9_000, 5.0)]) == [
        advice(9_000, 5.0),
        advice(100, 5.0),
        advice(100, 1.0),
    ]
    assert ranked([advice(90, 1.0, "name_variants"), advice(90, 1.0)])[0].symptom == "sentinels"


def test_confidence_grows_with_the_rows_up_to_the_causes_own() -> None:
    assert advice(0, 1.0).confidence == 0.0
    assert advice(20, 1.0).confidence == pytest.approx(0.475)
    assert 0.94 < advice(100_000, 1.0).confidence < 0.95
