"""Laws of the checks on what learners find, and of the figures that they read: any split gives the same."""

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import WINDOW, Outcome, View
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.registry import unpack_cell
from headrace.stream_processors.steps.learn import Part
from headrace.stream_processors.steps.learner_findings import Findings, Labels
from headrace.stream_processors.steps.window_profile import WindowDelta
from headrace.stream_processors.steps.window_state import Part as WindowPart
from headrace.stream_processors.steps.window_state import WindowState
from headrace.testing.check_laws import hold_to_laws

TYPES = {"mass": FieldType.DOUBLE}


def rule(check: str, bounds: Bounds | None = None, unit: Unit | None = None, **parameters: Any) -> CheckRule:
    values = {"learner": "watcher"} | parameters
    return CheckRule(check, check, ("mass",), values, bounds, unit or check_named(check).unit, types=TYPES)


RULES = [
    rule("anomaly_share"),
    rule("anomaly_share", Bounds(upper=2.0), Unit.ROWS),
    rule("model_drift"),
    rule("model_drift", z=2.0, least_windows=3, least_rows=2),
]
BATCH = pl.DataFrame({WINDOW: [0, 0, 3600, 0], "mass": [1.0, 2.0, None, 4.0], "_file": ["f"] * 4, "_row": range(4)})


def told(view: View) -> View:
    """Complete a view with what a learner tells of its rows."""
    if not view.rows:
        return view
    counts = {"seen": view.rows, "scored": view.rows, "anomalous": 1, "loss_weight": 1_000 * view.rows}
    counts |= {"scored_weight": 1_000 * view.rows, "anomalous_weight": 1_000}
    cells = {"loss": Moments(view.rows, 3.0, 1.0)}
    return replace(view, counts=counts, cells=cells, history=[(-n, 1.0 + n % 2) for n in range(20)])


@pytest.mark.parametrize("asked", RULES, ids=lambda asked: f"{asked.check}-{asked.unit}-{len(asked.parameters)}")
def test_the_checks_keep_the_laws_with_a_learner_and_without(asked: CheckRule) -> None:
    check = check_named(asked.check)
    hold_to_laws(check, asked, BATCH, told)
    hold_to_laws(check, asked, BATCH)
    assert check.verdict(asked, View(0, 3600, 10)).outcome is Outcome.NOT_CHECKED, "a silent learner is no pass"


ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, None]),
        st.sampled_from([True, False, None]),
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
        st.floats(-1e3, 1e3),
        st.sampled_from([1.0, 0.5, 0.125]),
    ),
    min_size=1,
    max_size=50,
)


def findings(rows: list[tuple[Any, ...]], cuts: list[int], *, scores: bool) -> dict[tuple[str, int], WindowState]:
    """Return the windows of records that were learned in parts, with each part told by itself."""
    windows: dict[tuple[str, int], list[WindowPart]] = {}
    for offset, (first, last) in enumerate(pairwise([0, *sorted(cuts), len(rows)])):
        mine, told = rows[first:last], Findings(WindowSpec("at", 3600))
        moments = [None if hour is None else hour * 3_600_000_000 for hour, *_ in mine]
        frame = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Int64).cast(pl.Datetime("us"))})
        part = Part("a", 0, [], [guess for *_, guess, _ in mine], [], [flag for _, flag, *_ in mine] if scores else [])
        labels = [None] * len(mine) if scores else [label for _, _, label, _, _ in mine]
        told.scored(frame, [1 / chance for *_, chance in mine], [part], Labels(labels))
        for delta in told.deltas("watcher"):
            windows.setdefault((delta.clock, delta.start), []).append(as_part(offset, delta))
    return {place: WindowState(parts) for place, parts in windows.items()}


def as_part(offset: int, delta: WindowDelta) -> WindowPart:
    return WindowPart(offset, counts=delta.counts, cells=delta.cells)


@given(rows=ROWS, cuts=st.lists(st.integers(0, 50), max_size=4), scores=st.booleans())
@settings(deadline=None)
def test_any_split_of_the_records_gives_the_same_figures(
    rows: list[tuple[Any, ...]], cuts: list[int], scores: bool
) -> None:
    whole, parts = (
        findings(rows, [], scores=scores),
        findings(rows, [min(cut, len(rows)) for cut in cuts], scores=scores),
    )
    assert whole.keys() == parts.keys()
    for place, state in whole.items():
        assert state.counts == parts[place].counts
        one, other = (each.cells_of("learner:watcher").get("loss", Moments()) for each in (state, parts[place]))
        assert isinstance(one, Moments)
        assert isinstance(other, Moments)
        assert one.n == other.n
        assert np.allclose([one.mean, one.m2], [other.mean, other.m2], rtol=1e-9, atol=1e-6)


@given(rows=ROWS)
@settings(deadline=None)
def test_every_record_is_seen_once_by_event_time_if_it_has_one_and_once_in_all(rows: list[tuple[Any, ...]]) -> None:
    found = findings(rows, [], scores=True)
    seen = {place: state.counts["learner:watcher"]["seen"] for place, state in found.items()}
    assert seen["arrival", 0] == len(rows)
    assert sum(count for (clock, _), count in seen.items() if clock == "event") == sum(
        one[0] is not None for one in rows
    )


def test_what_a_learner_tells_of_a_calm_window_passes() -> None:
    told = Findings(WindowSpec("at", 3600))
    frame = pl.DataFrame({"at": pl.Series([0] * 40, dtype=pl.Int64).cast(pl.Datetime("us"))})
    told.scored(frame, [1.0] * 40, [Part("a", 0, [], [0.0] * 40, [], [False] * 40)], Labels([None] * 40))
    (event, _) = told.deltas("watcher")
    asked = rule("anomaly_share")
    found = check_named("anomaly_share").verdict(asked, View(0, 3600, 40, event.counts["learner:watcher"]))
    assert (found.outcome, found.observed) == (Outcome.PASS, 0.0), "figures that are 0 are not in a delta"


def test_a_weighted_share_is_that_of_all_records_and_not_of_the_sample() -> None:
    chance, told = random.Random(1), Findings(WindowSpec("at", 3600))
    every = [(number < 500, 1.0 if number < 500 else 0.1) for number in range(5_500)]
    taken = [one for one in every if chance.random() < one[1]]
    frame = pl.DataFrame({"at": pl.Series([0] * len(taken), dtype=pl.Int64).cast(pl.Datetime("us"))})
    part = Part("a", 0, [], [0.0] * len(taken), [], [flag for flag, _ in taken])
    told.scored(frame, [1 / share for _, share in taken], [part], Labels([None] * len(taken)))
    (event, _) = told.deltas("watcher")
    counts = event.counts["learner:watcher"]
    share = 100 * counts["anomalous_weight"] / counts["scored_weight"]
    assert 8.5 < share < 9.7, "500 of 5,500 are anomalous, though half of the sample is"
    assert 100 * counts["anomalous"] / counts["scored"] > 40
    packed = unpack_cell(told_losses())
    assert isinstance(packed, Moments)
    assert (packed.n, packed.mean) == (2, 3.0)


def told_losses() -> bytes:
    told = Findings(WindowSpec("at", 3600))
    told.learned(0, 1.0, 2.0, alarm=False)
    told.learned(0, 2.0, 2.0, alarm=True)
    told.settled(0)
    (event, _) = told.deltas("watcher")
    assert event.counts["learner:watcher"] == {"seen": 3, "loss_weight": 3_000, "alarms": 1}
    return event.cells["learner:watcher"]["loss"]


@pytest.mark.parametrize(("alarms", "at_most"), [(0, 0.001), (1, 0.02)])
def test_stable_windows_of_a_learner_rarely_fail_by_chance(alarms: int, at_most: float) -> None:
    chance, check, asked = np.random.default_rng(1), check_named("model_drift"), rule("model_drift")
    failed, rounds = 0, 4_000
    for _ in range(rounds):
        levels = 10 + chance.normal(0, 0.5, 57)
        history = [(n, float(level + chance.normal(0, 10 / np.sqrt(300)))) for n, level in enumerate(levels[:-1])]
        losses = chance.exponential(levels[-1], 300)
        cell = Moments(300, float(losses.mean()), float(losses.var() * 300))
        counts = {"seen": 300, "loss_weight": 300_000, "alarms": alarms}
        found = check.verdict(asked, View(0, 3600, 300, counts, {"loss": cell}, history=history))
        failed += found.outcome is Outcome.FAIL
    assert failed / rounds <= at_most


def test_stable_windows_of_anomalies_at_the_bound_rarely_fail_by_chance() -> None:
    chance, check = np.random.default_rng(1), check_named("anomaly_share")
    asked, failed = rule("anomaly_share", Bounds(upper=5.0)), 0
    for rows in (5, 24, 100, 2_000):
        for odd in chance.binomial(rows, 0.05, 2_000).tolist():
            counts = {"seen": rows, "scored": rows, "anomalous": odd}
            counts |= {"scored_weight": 1_000 * rows, "anomalous_weight": 1_000 * odd}
            failed += check.verdict(asked, View(0, 3600, rows, counts)).outcome is Outcome.FAIL
    assert failed / 8_000 < 1e-3
