"""Laws of the checks of values, drift and leaks: splits and orders of the same rows give the same verdict."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import WINDOW, Check, Outcome, View
from headrace.stream_processors.checks.facts import CONTROL_TOTALS, STAGE_ROWS
from headrace.stream_processors.checks.reference import KEYS, KnownKeys
from headrace.testing.check_laws import (
    Known,
    no_rows_never_pass,
    parts_say_what_the_whole_says,
    stored_state_says_the_same,
    words_and_parameters,
)
from headrace.testing.check_views import views_of

TYPES = {
    "device": FieldType.STRING,
    "number": FieldType.LONG,
    "reading": FieldType.DOUBLE,
    "note": FieldType.STRING,
}
SCHEMA: dict[str, Any] = {
    "device": pl.String,
    "number": pl.Int64,
    "reading": pl.Float64,
    "note": pl.String,
    WINDOW: pl.Int64,
    "_file": pl.String,
    "_row": pl.Int64,
}
STAGES = {"consumed": 9, "quarantined": 1, "produced": 8, "inserted": 7}
FACTS: dict[str, Any] = {CONTROL_TOTALS: {"rows": 12, "reading": 3.5}, STAGE_ROWS: STAGES}
HISTORY = [(week, 2.0 + week % 3) for week in range(6)]


def rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    return CheckRule(check, check, fields, parameters, bounds, check_named(check).unit, types=TYPES)


def prepared(demand: CheckRule, *keys: str) -> CheckRule:
    frame = pl.DataFrame({name: ["a", "1"][number : number + 1] for number, name in enumerate(keys)})
    return replace(demand, prepared={KEYS: KnownKeys(frame.cast({"number": pl.Int64} if "number" in keys else {}))})


MOST = Bounds(upper=2.5)
RULES = [
    rule("distinct_count", "number", bounds=MOST),
    rule("distinct_count", "number", "device", bounds=MOST),
    rule("unique_ratio", "number", bounds=Bounds(lower=50.0)),
    rule("unique_ratio", "number", "device"),
    rule("in_set", "device", values=["a", "b"]),
    rule("in_set", "reading", values=[0.1, 1], bounds=Bounds(upper=50.0)),
    rule("pattern", "note", pattern="^[a-z]+@"),
    rule("range", "reading", minimum=0.1, maximum=0.5, below=True, bounds=Bounds(upper=20.0)),
    rule("length", "note", minimum=1),
    rule("format", "note", format="email"),
    rule("format", "note", format="iban"),
    rule("format", "number", format="luhn"),
    rule("row_rule", expression="number > 2 or device = 'a'"),
    prepared(rule("reference", "device", dataset="other"), "device"),
    prepared(rule("reference", "device", "number", dataset="other"), "device", "number"),
    rule("control_total", bounds=Bounds(upper=3.0)),
    rule("control_total", "reading", decimals=1),
    rule("sink_reconcile"),
    rule("mean_std_bounds", "reading", bounds=Bounds(upper=0.3)),
    rule("mean_std_bounds", "number", of="std", bounds=MOST),
    rule("quantile_bounds", "number", quantile=0.75, bounds=MOST),
    rule("quantile_bounds", "number", reference="trailing:P7D"),
    rule("outlier_rate", "number", fence=1.5),
    rule("stuck_value", "number", longest=2),
    rule("stuck_value", "reading", longest=1, key=["device"]),
    rule("unit_shift", "number", least_rows=5),
    rule("dominance_heaping", "device", bounds=Bounds(upper=40.0)),
    rule("dominance_heaping", "reading", of="last_digit", decimals=1),
    rule("psi_drift", "number", bins=4),
    rule("category_drift", "device"),
    rule("metric_anomaly", metric="rows", least_windows=3),
    rule("metric_anomaly", "reading", metric="null_rate", least_windows=3),
    rule("metric_anomaly", "number", metric="median", least_windows=3),
    rule("pii_leak"),
]
each_rule = pytest.mark.parametrize("demand", RULES, ids=lambda demand: f"{demand.check}-{'-'.join(demand.fields)}")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.one_of(st.none(), st.sampled_from([-999, 1, 2, 3, 18, 4111111111111111])),
        st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.5, float("nan")])),
        st.sampled_from(["", "x", "a@b.org", "GB82 WEST 1234 5698 7654 32", "10.0.0.1", "+49 30 123456", "ä", None]),
        st.sampled_from([0, 3600, None]),
        st.sampled_from(["f1", "f2"]),
    ),
    max_size=60,
)
REFERENCE = pl.DataFrame(
    [(("a", "b", "a")[n % 3], n % 7, n % 4 / 10, "x", 0, "f", n) for n in range(400)], schema=SCHEMA, orient="row"
)


def batch_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame([(*row, place) for place, row in enumerate(rows)], schema=SCHEMA, orient="row")


def split(batch: pl.DataFrame, data: st.DataObject, *, in_order: bool) -> list[pl.DataFrame]:
    """Return the rows as several batches in any order; in order, each is a range of rows."""
    if in_order:
        cuts = sorted(data.draw(st.lists(st.integers(0, batch.height), max_size=4), label="cuts"))
        parts = [batch[first:last] for first, last in pairwise([0, *cuts, batch.height])]
    else:
        shuffled = batch[data.draw(st.permutations(range(batch.height)), label="order")]
        owner = pl.Series(data.draw(st.lists(st.integers(0, 3), min_size=batch.height, max_size=batch.height)))
        parts = [shuffled.filter(owner == part) for part in range(4)] if batch.height else [batch]
    return list(data.draw(st.permutations(parts), label="batches"))


def check_of(demand: CheckRule) -> Check:
    check = check_named(demand.check)
    assert isinstance(check, Check)
    return check


def knowing(demand: CheckRule) -> Known:
    """Return what completes a view with all that is known from elsewhere."""
    reference = views_of(check_of(demand), demand, REFERENCE)[0]
    return lambda view: replace(view, history=HISTORY, reference=reference, facts=FACTS)


@each_rule
@settings(max_examples=25, deadline=None)
@given(rows=ROWS, data=st.data())
def test_any_split_and_order_of_the_rows_gives_the_same_verdict(
    demand: CheckRule, rows: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    check, batch = check_of(demand), batch_of(rows)
    parts = split(batch, data, in_order=check.order_bound)
    parts_say_what_the_whole_says(check, demand, batch, parts, knowing(demand))


@each_rule
@settings(max_examples=10, deadline=None)
@given(rows=ROWS)
def test_a_verdict_is_the_same_after_its_state_was_stored(demand: CheckRule, rows: list[tuple[Any, ...]]) -> None:
    stored_state_says_the_same(check_of(demand), demand, batch_of(rows), knowing(demand))


@each_rule
def test_no_rows_never_pass(demand: CheckRule) -> None:
    assert no_rows_never_pass(check_of(demand), demand).outcome is Outcome.NOT_CHECKED


@each_rule
def test_rows_without_their_figures_never_pass(demand: CheckRule) -> None:
    assert check_of(demand).verdict(demand, View(0, 3600, 100)).outcome is Outcome.NOT_CHECKED


@each_rule
def test_a_rule_and_its_check_have_words_and_documented_parameters(demand: CheckRule) -> None:
    words_and_parameters(check_of(demand), demand)


def test_every_check_of_this_file_is_held_to_the_laws() -> None:
    assert len({demand.check for demand in RULES}) == 21
