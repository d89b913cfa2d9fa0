"""Each check of values, drift and leaks: good data pass, an injected fault fails, bounds and nulls count as said."""

import random
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headrace.core.vocabulary import Reason
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.expression import KIND_OF
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import WINDOW, Verdict, View
from headrace.stream_processors.checks.codes import COUNTRIES, CURRENCIES
from headrace.stream_processors.checks.drift import js_divergence, noise_psi, psi
from headrace.stream_processors.checks.facts import CONTROL_TOTALS, STAGE_ROWS
from headrace.stream_processors.checks.metric_anomaly import SECOND_VOTE
from headrace.stream_processors.checks.reference import KEYS, KnownKeys
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.testing.check_views import views_of
from headrace.testing.flight_checks import TYPES as FLIGHT_TYPES
from headrace.testing.flight_checks import flight_rules, flights

KINDS: dict[FieldType, Any] = {
    FieldType.LONG: pl.Int64,
    FieldType.DOUBLE: pl.Float64,
    FieldType.FLOAT: pl.Float32,
    FieldType.STRING: pl.String,
    FieldType.DATE: pl.Date,
}


def batch_of(kind: FieldType, values: list[Any], key: list[str] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=KINDS[kind]), "key": key or ["k"] * len(values)})
    return frame.with_columns(pl.lit(0, pl.Int64).alias(WINDOW), _file=pl.lit("f"), _row=pl.int_range(pl.len()))


def rule(
    check: str, kind: FieldType, *, bounds: Bounds | None = None, unit: Unit | None = None, **given: Any
) -> CheckRule:
    types = {"x": kind, "key": FieldType.STRING}
    fields = () if check in {"row_rule", "sink_reconcile"} else ("x",)
    return CheckRule("r", check, fields, given, bounds, unit or check_named(check).unit, types=types)


def verdict(asked: CheckRule, values: list[Any], before: list[Any] | None = None, **known: Any) -> Verdict:
    check, kind = check_named(asked.check), asked.types["x"]
    view: View = views_of(check, asked, batch_of(kind, values, known.pop("key", None)))[0]
    reference = views_of(check, asked, batch_of(kind, before))[0] if before else None
    found = check.verdict(asked, replace(view, reference=reference, **known))
    assert isinstance(found, Verdict)
    return found


LONG, DOUBLE, FLOAT, TEXT, DATE = (
    FieldType.LONG,
    FieldType.DOUBLE,
    FieldType.FLOAT,
    FieldType.STRING,
    FieldType.DATE,
)


@pytest.mark.parametrize(
    ("asked", "values", "broken"),
    [
        (rule("in_set", TEXT, values=["a", "b"]), ["a", "b", None, "c", ""], 2),
        (rule("in_set", LONG, values=[1, 2]), [1, 2, None, 3], 1),
        (rule("in_set", FLOAT, values=[0.1]), [0.1, 0.2, float("nan")], 2),
        (rule("in_set", DATE, values=["2024-02-29"]), [None], 0),
        (rule("pattern", TEXT, pattern=r"^\d+$"), ["1", "12", "a", "1a", "", None], 3),
        (rule("range", LONG, minimum=1, maximum=3), [0, 1, 2, 3, 4, None], 2),
        (rule("range", LONG, minimum=1, maximum=3, above=True, below=True), [1, 2, 3], 2),
        (rule("range", DOUBLE, minimum=0.0), [0.0, -1e-9, float("nan"), float("inf"), None], 2),
        (rule("length", TEXT, minimum=1, maximum=2), ["", "ä", "日本", "abc", None], 2),
        (rule("row_rule", LONG, expression="x > 1 or key = 'k'"), [1, 2, None], 0),
        (rule("row_rule", LONG, expression="x > 1"), [1, 2, None], 1),
        (rule("format", TEXT, format="email"), ["a.b+c@d-e.org", "a@b", "a b@c.de", "a@b.c.", None], 3),
        (rule("format", TEXT, format="uuid"), ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3"], 1),
        (rule("format", TEXT, format="date"), ["2024-02-29", "2000-02-29", "2023-02-29", "1900-02-29", "2024-4-1"], 3),
        (rule("format", TEXT, format="date"), ["2024-04-31", "2024-12-31", "2024-13-01", "2024-01-00"], 3),
        (rule("format", TEXT, format="country"), ["DE", "US", "UK", "de", ""], 3),
        (rule("format", TEXT, format="currency"), ["EUR", "USD", "DEM"], 1),
        (rule("format", TEXT, format="latitude"), ["90", "-90.0", "90.1", "45,5", "+12.5"], 2),
        (rule("format", DOUBLE, format="longitude"), [180.0, -180.0, 180.1, float("nan"), None], 2),
        (rule("format", TEXT, format="luhn"), ["4111111111111111", "4111111111111112", "79927398713", "", "x"], 3),
        (rule("format", LONG, format="luhn"), [4111111111111111, 4111111111111112], 1),
        (
            rule("format", TEXT, format="iban"),
            ["DE89 3704 0044 0532 0130 00", "DE89370400440532013001", "NO93", None],
            2,
        ),
        (rule("format", TEXT, format="iban"), ["MT84MALT011000012345MTLCAST001S", "XX82WEST12345698765432"], 1),
        (rule("format", TEXT, format="isbn13"), ["978-0-306-40615-7", "9780306406158", "4006381333931"], 2),
        (rule("format", TEXT, format="ean"), ["4006381333931", "96385074", "036000291452", "4006381333930", "7"], 2),
        (rule("pii_leak", TEXT), ["mail me: jo@example.org", "no at sign", "a@b", None], 1),
        (rule("pii_leak", TEXT), ["+49 30 1234567", "(212) 555-0100", "212-555-0100", "2013-01-01 10:00", "517"], 3),
        (rule("pii_leak", TEXT), ["from 10.0.0.1 on", "1.2.3", "1.2.3.400", "10.0.0.1.5"], 1),
        (rule("pii_leak", TEXT), ["card 4111 1111 1111 1111.", "4111 1111 1111 1112", "1400123456789"], 1),
        (rule("pii_leak", TEXT), ["to GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765433"], 1),
        (rule("pii_leak", TEXT, detectors=["email"]), ["10.0.0.1", "jo@example.org"], 1),
    ],
    ids=lambda value: (
        f"{value.check}-{next(iter(value.parameters.values()), '')}" if isinstance(value, CheckRule) else ""
    ),
)
def test_rows_that_break_a_rule_are_counted_and_missing_values_are_not(
    asked: CheckRule, values: list[Any], broken: int
) -> None:
    found = verdict(replace(asked, unit=Unit.ROWS), values)
    assert (found.observed, found.rows_at_risk, found.outcome) == (broken, broken, "fail" if broken else "pass")
    allowed = replace(asked, unit=Unit.ROWS, bounds=Bounds(upper=float(broken)))
    assert verdict(allowed, values).outcome == "pass"
    share = verdict(replace(asked, unit=Unit.PERCENT), values).observed
    assert share == pytest.approx(100 * broken / len(values))


def test_checks_of_rows_name_the_reason_that_a_rule_of_rows_has() -> None:
    reasons = {
        name: check_named(name).reason for name in ("in_set", "pattern", "range", "length", "row_rule", "format")
    }
    assert reasons == {
        "in_set": Reason.NOT_IN_SET,
        "pattern": Reason.PATTERN_MISMATCH,
        "range": Reason.OUT_OF_RANGE,
        "length": Reason.BAD_LENGTH,
        "row_rule": Reason.ROW_RULE,
        "format": Reason.PATTERN_MISMATCH,
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (rule("in_set", LONG, values=["a"]), "is no whole number"),
        (rule("in_set", DATE, values=["2023-02-29"]), "is no date"),
        (rule("pattern", LONG, pattern="a"), "it takes text"),
        (rule("pattern", TEXT, pattern="(?=a)"), "look-around"),
        (rule("range", LONG), "needs a minimum or a maximum"),
        (rule("range", LONG, minimum=3, maximum=1), "above maximum"),
        (rule("range", DATE, minimum="2024-01-01T00:00:00Z"), "is no date"),
        (rule("range", TEXT, minimum=1), "it takes"),
        (rule("length", TEXT, minimum=3, maximum=1), "above maximum"),
        (rule("format", TEXT, format="e-mail"), "is not known"),
        (rule("format", LONG, format="email"), "it takes text"),
        (rule("row_rule", LONG, expression="y > 1"), "not a field"),
        (rule("reference", LONG, dataset="Bad Name"), "Bad Name"),
        (rule("reference", LONG, dataset="other", keys=["a", "b"]), "cannot be found by 2"),
        (rule("distinct_count", LONG), "needs a threshold"),
        (rule("mean_std_bounds", TEXT, bounds=Bounds(1)), "it takes"),
        (rule("quantile_bounds", LONG), "needs a threshold"),
        (rule("unique_ratio", LONG, unit=Unit.ROWS), "in percent"),
        (rule("stuck_value", LONG, longest=3, key=["y"]), 'key field "y"'),
        (rule("psi_drift", TEXT), "it takes"),
        (rule("category_drift", DOUBLE), "it takes"),
        (rule("metric_anomaly", TEXT, metric="mean"), "it takes"),
        (rule("pii_leak", TEXT, detectors=["name"]), "is not known"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_in_words(asked: CheckRule, said: str) -> None:
    found = check_named(asked.check).problem(asked, {name: KIND_OF[kind] for name, kind in asked.types.items()})
    assert said in found


def test_keys_are_looked_up_and_rows_before_the_keys_are_not_checked() -> None:
    asked = rule("reference", TEXT, dataset="other")
    known = replace(asked, prepared={KEYS: KnownKeys(pl.DataFrame({"id": ["a", "b", None]}))})
    assert verdict(known, ["a", "b", None]).outcome == "pass"
    assert verdict(known, ["a", "z", None]).rows_at_risk == 1
    assert verdict(asked, ["a"]).outcome == "not_checked"
    both = replace(known, fields=("x", "key"), prepared={KEYS: KnownKeys(pl.DataFrame({"a": ["a"], "b": ["k"]}))})
    assert verdict(both, ["a", "b", None]).rows_at_risk == 1


def test_totals_are_compared_to_the_last_place_and_missing_ones_are_not_checked() -> None:
    asked = rule("control_total", DOUBLE)
    values = [0.1] * 30 + [None]
    assert verdict(asked, values, facts={CONTROL_TOTALS: {"x": 3.0}}).outcome == "pass"
    assert verdict(asked, values, facts={CONTROL_TOTALS: {"x": 3.01}}).observed == pytest.approx(0.01)
    assert verdict(asked, values, facts={CONTROL_TOTALS: {"rows": 31}}).outcome == "not_checked"
    assert verdict(replace(asked, fields=()), values, facts={CONTROL_TOTALS: {"rows": 30}}).observed == 1


@pytest.mark.parametrize(
    ("consumed", "quarantined", "produced", "inserted", "lost"), [(9, 1, 8, 8, 0), (9, 1, 8, 7, 1), (9, 1, 7, 8, 1)]
)
def test_stages_must_agree(consumed: int, quarantined: int, produced: int, inserted: int, lost: int) -> None:
    stages = {"consumed": consumed, "quarantined": quarantined, "produced": produced, "inserted": inserted}
    found = verdict(rule("sink_reconcile", LONG), [1], facts={STAGE_ROWS: stages})
    assert (found.observed, found.outcome) == (lost, "fail" if lost else "pass")
    del stages["inserted"]
    assert verdict(rule("sink_reconcile", LONG), [1], facts={STAGE_ROWS: stages}).outcome == "not_checked"


def test_an_estimate_fails_only_beyond_its_error() -> None:
    values = list(range(20_000))
    found = verdict(rule("distinct_count", LONG, bounds=Bounds(lower=20_000)), values)
    assert found.error > 0
    assert (
        verdict(rule("distinct_count", LONG, bounds=Bounds(lower=20_000 + 3 * found.error)), values).outcome == "fail"
    )
    close = Bounds(lower=(found.observed or 0) + found.error / 2)
    assert verdict(rule("distinct_count", LONG, bounds=close), values).outcome == "pass"
    assert verdict(rule("unique_ratio", LONG), [1, 2, 3, None]).observed == 100
    assert verdict(rule("unique_ratio", LONG), [1, 2, 2, None]).outcome == "fail"
    median = verdict(rule("quantile_bounds", LONG, bounds=Bounds(upper=10_000)), values)
    assert median.observed == pytest.approx(10_000, abs=median.error)
    assert verdict(rule("quantile_bounds", LONG, bounds=Bounds(upper=9_000)), values).outcome == "fail"
    assert verdict(rule("mean_std_bounds", LONG, bounds=Bounds(9_999, 10_000)), values).outcome == "pass"
    assert verdict(rule("mean_std_bounds", LONG, of="std", bounds=Bounds(upper=5_000)), values).outcome == "fail"


def test_shift_of_a_quantile_is_told_from_chance_and_needs_a_width() -> None:
    asked = rule("quantile_bounds", DOUBLE, reference="trailing:P7D", bounds=Bounds(upper=0.1))
    few = verdict(asked, normal(30, mean=21.0), normal(2000))
    assert few.outcome == "not_checked"
    assert "too few rows" in few.detail
    assert "no width" in verdict(asked, [1.0] * 500, [1.0] * 500).detail
    assert "no reference" in verdict(asked, normal(500)).detail
    half = verdict(replace(asked, bounds=None), normal(1000, mean=24.0), normal(2000))
    assert half.outcome == "fail"
    assert half.observed == pytest.approx(4 / (2 * 0.6745 * 5), abs=0.15), "in widths of the middle half"
    assert half.rows_at_risk == 1000


def normal(count: int, mean: float = 20.0, spread: float = 5.0, seed: int = 0) -> list[float]:
    chance = random.Random(f"{count} {mean} {spread} {seed}")
    return [chance.gauss(mean, spread) for _ in range(count)]


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        (rule("outlier_rate", DOUBLE), normal(500), normal(480) + [500.0] * 20),
        (rule("psi_drift", DOUBLE), normal(1000), normal(1000, mean=24.0)),
        (rule("psi_drift", DOUBLE), normal(1000), [99.0] * 1000),
        (rule("quantile_bounds", DOUBLE, reference="trailing:P7D"), normal(1000), normal(1000, mean=25.0)),
        (
            rule("quantile_bounds", DOUBLE, quantile=0.9, reference="hour_of_week", bounds=Bounds(upper=0.5)),
            normal(1000),
            normal(1000, spread=9.0),
        ),
        (
            rule("quantile_bounds", DOUBLE, reference="trailing:P7D", bounds=Bounds(upper=0.3)),
            normal(1000),
            normal(1000, mean=23.5),
        ),
        (rule("unit_shift", DOUBLE), normal(500), [value * 1.8 + 32 for value in normal(500, spread=2)]),
        (rule("unit_shift", DOUBLE), normal(500, mean=23), [value * 1000 for value in normal(500)]),
        (rule("unit_shift", DOUBLE), normal(500, mean=15), [value / 25.4 for value in normal(500)]),
    ],
)
def test_numbers_are_compared_with_the_reference(asked: CheckRule, good: list[Any], bad: list[Any]) -> None:
    before = normal(2000)
    found = verdict(asked, good, before)
    assert found.outcome == "pass", found.detail
    assert verdict(asked, bad, before).outcome == "fail"
    assert verdict(asked, good).outcome == "not_checked"
    assert verdict(asked, [None] * 50, before).outcome == "not_checked"


def test_drift_of_few_rows_is_not_checked_rather_than_passed() -> None:
    found = verdict(rule("psi_drift", DOUBLE), normal(40), normal(2000))
    assert found.outcome == "not_checked"
    assert "chance alone" in found.detail


def test_stable_data_stay_below_the_noise_floor_and_a_shift_of_three_fifths_of_a_deviation_is_found() -> None:
    reference = Quantiles.of(pl.Series(normal(5000)))
    found = [psi(reference, Quantiles.of(pl.Series(normal(500, seed=seed))), 10) for seed in range(200)]
    floors = [noise_psi(bins, 500, 5000, 1e-4) for _, bins in found]
    assert sum(value > floor for (value, _), floor in zip(found, floors, strict=True)) <= 1
    typical = sum(value for value, _ in found) / len(found)
    assert 0.6 < typical / (9 * (1 / 500 + 1 / 5000)) < 1.4
    shifted, bins = psi(reference, Quantiles.of(pl.Series(normal(500, mean=23.0))), 10)
    assert shifted > 0.2 > noise_psi(bins, 500, 5000, 1e-4)


def test_one_stray_value_is_no_drift_and_two_percent_of_a_sentinel_are() -> None:
    before = Quantiles.of(pl.Series(normal(5000)))
    quiet = psi(before, Quantiles.of(pl.Series(normal(500))), 10)[0]
    assert psi(before, Quantiles.of(pl.Series([*normal(499), 9999.0])), 10)[0] < quiet + 0.02
    assert psi(before, Quantiles.of(pl.Series([*normal(490), *[-999.0] * 10])), 10)[0] > quiet + 0.05


def test_categories_are_compared_with_the_reference_and_new_ones_are_named() -> None:
    asked, before = rule("category_drift", TEXT), ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    assert verdict(asked, ["a"] * 305 + ["b"] * 145 + ["c"] * 50, before).outcome == "pass"
    assert verdict(asked, ["a"] * 150 + ["b"] * 300 + ["c"] * 50, before).outcome == "fail"
    new = verdict(asked, ["a"] * 300 + ["b"] * 150 + ["c"] * 40 + ["d"] * 10, before)
    assert (new.outcome, new.rows_at_risk) == ("fail", 10)
    assert "d" in new.detail
    assert verdict(asked, ["a", "b"], before).outcome == "not_checked"
    assert verdict(asked, [str(n) for n in range(500)], [str(n) for n in range(500)]).outcome == "not_checked"
    assert js_divergence({"a": 0.5, "b": 0.5}, {"a": 1.0}) == pytest.approx(0.3112781)


def test_runs_of_one_value_are_found_by_key_and_nulls_do_not_break_them() -> None:
    asked = rule("stuck_value", DOUBLE, longest=3)
    assert verdict(asked, [1.0, 1.0, 1.0, 2.0]).outcome == "pass"
    assert verdict(asked, [1.0, 1.0, None, 1.0, 1.0, 2.0]).rows_at_risk == 4
    keyed = rule("stuck_value", DOUBLE, longest=3, key=["key"])
    found = verdict(keyed, [5.0, 1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 4.0], key=["a", "b"] * 4)
    assert (found.outcome, found.rows_at_risk) == ("fail", 4)
    assert "a 4 times" in found.detail


def test_one_value_and_one_last_digit_must_not_dominate() -> None:
    asked = rule("dominance_heaping", LONG, bounds=Bounds(upper=50.0))
    assert verdict(asked, [1] * 50 + list(range(2, 52))).outcome == "pass"
    assert verdict(asked, [1] * 51 + list(range(2, 51))).outcome == "fail"
    assert verdict(asked, [1, 1]).outcome == "not_checked"
    digits = rule("dominance_heaping", DOUBLE, of="last_digit", decimals=1)
    assert verdict(digits, [n / 10 for n in range(100)]).observed == pytest.approx(10)
    assert verdict(digits, [n / 2 for n in range(100)]).outcome == "fail"
    assert verdict(digits, [-0.3] * 99 + [None]).detail.startswith("99 of 99 values of x have the last digit 3")


def test_a_metric_is_compared_with_its_history() -> None:
    history = [(hour, 100.0 + hour % 5) for hour in range(24)]
    asked = rule("metric_anomaly", LONG, metric="mean")
    assert verdict(asked, [102] * 9, history=history).outcome == "pass"
    assert verdict(asked, [150] * 9, history=history).outcome == "fail"
    young = verdict(asked, [150] * 9, history=history[:3])
    assert (young.outcome, young.observed) == ("not_checked", 150)
    assert verdict(asked, [101] * 9, history=[(hour, 100.0) for hour in range(24)]).outcome == "pass"
    twice = rule("metric_anomaly", LONG, metric="mean", votes=2)
    alone = verdict(twice, [150] * 9, history=history)
    assert alone.outcome == "pass", "ADWIN wants to see it for longer"
    assert "does not agree (ADWIN fired 0 times in" in alone.detail
    assert f"dummies: always {len(history) + 1}, never 0)" in alone.detail
    for vote, outcome in ((True, "fail"), (False, "pass")):
        voted = replace(twice, prepared={SECOND_VOTE: lambda values, vote=vote: vote and values[-1] == 150})
        assert verdict(voted, [150] * 9, history=history).outcome == outcome


def test_what_leaked_is_counted_by_field_and_kind_and_never_shown() -> None:
    asked = rule("pii_leak", TEXT)
    found = verdict(asked, ["jo@example.org", "jo@example.org 10.0.0.1"])
    assert "x: email 2" in found.detail
    assert "x: ip_address 1" in found.detail
    assert "example.org" not in found.detail
    tagged = replace(asked, fields=(), parameters={"tagged": ["x", "key"]})
    assert verdict(tagged, ["jo@example.org"]).outcome == "not_checked"


def test_code_lists_are_whole() -> None:
    assert (len(COUNTRIES), len(CURRENCIES)) == (249, 178)


def test_every_check_has_a_verdict_on_real_flights() -> None:
    data = flights().filter(pl.col("month") <= 2)
    january, february = sorted(data[WINDOW].unique())
    rows = data.filter(pl.col("month") == 1)
    stages = {"consumed": rows.height + 3, "quarantined": 3, "produced": rows.height, "inserted": rows.height}
    totals = {"rows": rows.height, "distance": float(rows["distance"].sum())}
    history = {"rows": [27_000.0, 26_500.0], "null_rate": [2.0, 2.4], "median": [872.0, 875.0]}
    for asked, outcome in flight_rules():
        check = check_named(asked.check)
        assert check.problem(asked, {name: KIND_OF[kind] for name, kind in FLIGHT_TYPES.items()}) == ""
        views = views_of(check, asked, data)
        past = list(enumerate(history.get(str(asked.parameters.get("metric")), []) * 4))
        facts = {CONTROL_TOTALS: totals, STAGE_ROWS: stages}
        view = replace(views[january], reference=views[february], history=past, facts=facts)
        assert check.verdict(asked, view).outcome == outcome, f"{asked.id}: {check.verdict(asked, view)}"
    assert len({asked.check for asked, _ in flight_rules()}) == 21
