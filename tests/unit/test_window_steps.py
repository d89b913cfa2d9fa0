"""Windows: any split and order of deltas gives the same state, verdicts fail closed, masked fields show no values."""

import json
import random
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.system import frame_system, read_system
from headrace.stream_processors.checks.base import FieldFigure, Outcome
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.lengths import Lengths
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_record import (
    ALL_LEFT_OUT,
    FACTS_LEFT_OUT,
    Closed,
    fitted,
    histogram,
    window_record,
)
from headrace.stream_processors.steps.window_state import OTHER_FILES, Part, WindowState, bounded

NULLS = CheckRule("mass_missing", "null_rate", ("mass",), bounds=Bounds(upper=2.0), unit=Unit.PERCENT)
RULES = (replace(NULLS, dimension=Dimension.COMPLETENESS),)
CLOSED = Closed("orders", "event", 3600, 7200, 0, 1_000_000, "1.0.0+00000000")


def numbers(values: list[float | None]) -> dict[str, bytes]:
    series = pl.Series(values, dtype=pl.Float64)
    known = series.drop_nulls()
    cells: dict[str, Cell] = {
        FieldFigure.COUNTS: Tally({"rows": len(series), "nulls": series.null_count()}),
        FieldFigure.EXTREMES: Extremes.of(known),
        FieldFigure.MOMENTS: Moments.of(known),
        FieldFigure.QUANTILES: Quantiles.of(known),
        FieldFigure.DISTINCT: Distinct.of(known),
        FieldFigure.TOP: Top.of(known),
    }
    return {str(figure): pack_cell(cell) for figure, cell in cells.items()}


def names(values: list[str]) -> dict[str, bytes]:
    series = pl.Series(values)
    cells: dict[str, Cell] = {
        FieldFigure.COUNTS: Tally({"rows": len(series)}),
        FieldFigure.TOP: Top.of(series),
        FieldFigure.LENGTHS: Lengths.of(series),
    }
    return {str(figure): pack_cell(cell) for figure, cell in cells.items()}


def part(offset: int, values: list[float | None], file: str = "f" * 16) -> Part:
    failed = sum(value is None for value in values)
    return Part(
        offset,
        "1.0.0+00000000",
        len(values),
        failed,
        files={file: len(values)},
        counts={"mass_missing": {"failed": failed}},
        cells={"sums": {"seen": pack_cell(Tally({"a": len(values)}))}},
        fields={"mass": numbers(values), "who": names(["Ann"] * len(values))},
    )


PARTS = [part(number, [float(number), 2.5, None], f"{number % 3:016x}") for number in range(12)]


def shown(state: WindowState) -> dict[str, Any]:
    found = vars(state.merged()) | {"offset": 0}
    # The mean of means differs in its last digits by the order; all else is equal to the byte.
    moments = Moments.unpack(found["fields"]["mass"].pop("moments")[2:])
    return found | {"moments": (moments.n, round(moments.mean, 9), round(moments.m2, 6))}


def test_any_split_and_order_of_parts_gives_the_same_state() -> None:
    whole = shown(WindowState(PARTS))
    assert (whole["rows"], whole["rejected"], whole["counts"]) == (36, 12, {"mass_missing": {"failed": 12}})
    for seed in range(20):
        seeded, shuffled = random.Random(seed), list(PARTS)
        seeded.shuffle(shuffled)
        cut = seeded.randrange(1, len(shuffled))
        halves = [WindowState(half).merged() for half in (shuffled[:cut], shuffled[cut:])]
        assert shown(WindowState(Part.unpack(half.pack()) for half in halves)) == whole


def test_files_beyond_the_bound_are_counted_together_in_any_order() -> None:
    found = {f"{number:04x}": 1 for number in range(1000)}
    left, right = dict(list(found.items())[:500]), dict(list(found.items())[500:])
    at_once = bounded(found, 10)
    assert (len(at_once), sum(at_once.values()), at_once[OTHER_FILES]) == (11, 1000, 990)
    parts = bounded(left, 10), bounded(right, 10)
    both = {name: parts[0].get(name, 0) + parts[1].get(name, 0) for name in {*parts[0], *parts[1]}}
    assert bounded(both, 10) == at_once


def test_cells_that_do_not_merge_leave_their_rule_without_a_verdict_and_the_rest_as_it_is() -> None:
    other = replace(PARTS[0], offset=99, cells={"sums": {"seen": pack_cell(Moments(1, 1.0, 0.0))}})
    state = WindowState([*PARTS, other])
    rules = (*RULES, CheckRule("sums", "null_rate", ("who",)))
    kept = WindowState([Part.unpack(state.merged().pack())])
    for seen in (state, kept):
        found = evaluate(rules, seen, 3600, 7200, Known())
        assert [one.verdict.outcome for one in found.judged] == [Outcome.FAIL, Outcome.NOT_CHECKED]
        assert "is a tally here and a moments there" in found.failures["sums"]


@pytest.mark.parametrize("check", ["null_rate", "no_such_check"])
def test_check_that_raises_or_cannot_be_loaded_is_named_and_never_passes(check: str) -> None:
    broken = CheckRule("broken", check, ())
    found = evaluate((broken, *RULES), WindowState(PARTS), 3600, 7200, Known())
    assert [one.verdict.outcome for one in found.judged] == [Outcome.NOT_CHECKED, Outcome.FAIL]
    assert set(found.failures) == {"broken"}


def test_check_that_did_not_run_on_some_rows_has_no_verdict() -> None:
    skipped = replace(PARTS[0], counts={"mass_missing": {"not_run": 3}})
    found = evaluate(RULES, WindowState([skipped, *PARTS[1:]]), 3600, 7200, Known())
    assert found.judged[0].verdict.outcome is Outcome.NOT_CHECKED
    assert found.failures == {"mass_missing": "it raised an error on 3 of 36 rows"}


def test_record_of_a_window_fits_its_schema_and_has_verdicts_profile_and_score() -> None:
    state = WindowState(PARTS)
    record = window_record(CLOSED, state, evaluate(RULES, state, 3600, 7200, Known()), ["mass", "who"])
    assert read_system("window", frame_system("window", 1, record))["rows"] == 36
    (verdict,) = record["verdicts"]
    assert (verdict["outcome"], round(verdict["observed"], 3), verdict["upper"]) == ("fail", 33.333, 2.0)
    assert (round(record["score"], 3), record["checked"], record["not_checked"]) == (
        66.667,
        1,
        ["who: no rule looks at it"],
    )
    mass, who = record["fields"]
    assert (mass["rows"], mass["nulls"], mass["minimum"], mass["maximum"]) == (36, 12, 0.0, 11.0)
    assert sum(found["count"] for found in mass["histogram"]) == 24
    assert who["top"] == [{"value": "Ann", "count": 36}]


def test_values_of_masked_fields_are_nowhere_in_the_record() -> None:
    state = WindowState(PARTS)
    evaluated = evaluate(RULES, state, 3600, 7200, Known())
    record = window_record(CLOSED, state, evaluated, ["mass", "who"], masked={"who", "mass"})
    assert "Ann" not in json.dumps(record, default=repr)
    assert {cell["figure"] for cell in record["cells"]} == {"counts", "lengths", "seen"}
    assert record["verdicts"][0]["detail"] == "33.3333 % seen; values of mass are not shown"
    mass = record["fields"][0]
    assert (mass["nulls"], mass["minimum"], mass["quantiles"], mass["histogram"]) == (12, None, {}, [])


def test_record_whose_facts_alone_are_too_large_goes_without_them_and_says_so() -> None:
    state, largest = WindowState(PARTS), 20_000
    receipts = json.dumps({"receipts": {f"{number:016x}": "x" * 200 for number in range(500)}})
    record = window_record(CLOSED, state, evaluate(RULES, state, 3600, 7200, Known()), ["mass", "who"], facts=receipts)
    data, pieces = fitted(record, largest, lambda found: frame_system("window", 1, found))
    told = read_system("window", data)
    assert len(data) <= largest
    assert (told["facts"], told["left_out"]) == ("{}", [ALL_LEFT_OUT, FACTS_LEFT_OUT])
    assert pieces == len(record["cells"]) + 1
    assert told["verdicts"][0]["outcome"] == "fail"


def test_histogram_has_at_most_forty_bins_that_hold_every_number() -> None:
    values = pl.Series([float(value) for value in range(-500, 5000)])
    bins = histogram(Quantiles.of(values), Extremes.of(values))
    assert (len(bins), sum(found["count"] for found in bins)) == (40, 5500)
    assert (bins[0]["low"], bins[-1]["high"]) == (-500.0, 4999.0)
    alone = pl.Series([7.0, 7.0])
    assert histogram(Quantiles.of(alone), Extremes.of(alone)) == [{"low": 7.0, "high": 7.0, "count": 2}]
