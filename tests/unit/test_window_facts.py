"""What windows know beside their rows: files' receipts, schemas, pinned references, silence, rules that see nothing."""

import io
import json
import random
from dataclasses import replace
from typing import Any

import fastavro
import polars as pl
import pytest

from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.file_facts import FileFacts
from headrace.stream_processors.steps.pins import facts_values, pin_values, pinned_of
from headrace.stream_processors.steps.window_facts import facts_of
from headrace.stream_processors.steps.window_known import compared_rules
from headrace.stream_processors.steps.window_state import FIELDS, Part
from headrace.stream_processors.window_late import REVISE_SECS
from headrace.stream_processors.window_law import Law, Laws, SchemaNeeded
from headrace.stream_processors.window_silence import MOST_EMPTY
from headrace.stream_processors.window_table import TICK, tick_of
from headrace.testing.window_line import BASE, HOUR, NOW, Line

ARRIVAL_HOUR = (NOW - BASE) // HOUR


def law(*rules: CheckRule, silence: bool = False) -> Laws:
    found = Law("1", WindowSpec("at", HOUR), rules, ("mass",), compared=compared_rules(rules), about_files=True)
    return {("orders", "1"): replace(found, sees_silence=silence)}


def window(hour: int, clock: str = "event", rows: int = 10, **figures: Any) -> dict[str, Any]:
    found = {"clock": clock, "start": BASE + hour * HOUR, "rows": rows, "rejected": 1 if rows else 0}
    return found | {"counts": {}, "cells": {}, "fields": {}} | figures


def delta(*windows: dict[str, Any], stage: str = "judge", rows: int = 10, rejected: int = 1) -> dict[str, Any]:
    named = {"dataset": "orders", "file": "f" * 16, "name": "", "stage": stage, "contract_version": "1"}
    return named | {"rows": rows, "rejected": rejected, "windows": list(windows)}


def receipt(name: str, moment: int, *, final: bool = True, **changes: Any) -> dict[str, Any]:
    known = FileFacts(
        f"{name}@{moment}", "f" * 16, name, 10, 10, {"consumed": 10, "quarantined": 1, "inserted": 9}, {"rows": 10.0}
    )
    return {"moment": moment, "final": final, "facts": vars(replace(known, **changes))}


def tick(*, idle: bool = True) -> dict[str, Any]:
    return tick_of("orders", "1", idle=idle) | {"windows": []}


def tell(*receipts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return facts_values("orders", "1", {"files": list(receipts)} | more)


def verdicts(line: Line, hour: int, clock: str = "arrival", revision: int = 0) -> dict[str, dict[str, Any]]:
    record = line.records[clock, BASE + hour * HOUR, revision]
    return {one["rule"]: one for one in record["verdicts"]}


OF_FILES = (
    CheckRule("totals", "control_total", unit=Unit.VALUE),
    CheckRule("stages", "sink_reconcile", unit=Unit.ROWS),
    CheckRule("unique", "duplicate_key", ("mass",), unit=Unit.PERCENT),
    CheckRule("copies", "replayed_file"),
)
FIGURES = {"totals": {"counted": 10}, "unique": {"keyed": 10, "unique": 10}}


def told_line(*receipts: dict[str, Any], laws: Laws | None = None) -> Line:
    """Return a line whose window of arrival is closed with receipts in it."""
    line = Line(laws or law(*OF_FILES))
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival")))
    line.feed(2, tell(*receipts))
    line.feed(HOUR + 60, tick())
    return line


def test_rules_about_files_have_verdicts_in_the_window_in_which_the_receipt_came() -> None:
    found = verdicts(told_line(receipt("a.csv", 5, figures=FIGURES)), ARRIVAL_HOUR)
    assert {name: found[name]["outcome"] for name in ("totals", "stages", "unique")} == {
        "totals": "pass",
        "stages": "pass",
        "unique": "pass",
    }
    assert found["stages"]["detail"] == "10 consumed - 1 quarantined = 9; 9 produced, 9 inserted"


def test_a_lost_row_a_wrong_total_a_repeated_key_and_a_copied_file_fail() -> None:
    lost = receipt("a.csv", 5, stages={"consumed": 10, "quarantined": 1, "inserted": 8}, totals={"rows": 12.0})
    lost["facts"]["figures"] = FIGURES | {"unique": {"keyed": 10, "unique": 9}}
    copied = receipt("b.csv", 6, first_name="a.csv")
    found = verdicts(told_line(lost, copied), ARRIVAL_HOUR)
    assert {name: one["outcome"] for name, one in found.items()} == dict.fromkeys(found, "fail")
    assert found["totals"]["observed"] == 2
    assert "b.csv repeats a.csv" in found["copies"]["detail"]
    assert "1 of 10 records repeat a key" in found["unique"]["detail"]


def test_a_file_without_a_manifest_is_not_checked_and_one_that_cannot_be_counted_neither() -> None:
    bare = receipt("a.csv", 5, totals={}, figures={"totals": {"counted": 10}}, missing={"unique": "no such column"})
    found = verdicts(told_line(bare), ARRIVAL_HOUR)
    assert found["totals"]["outcome"] == found["unique"]["outcome"] == "not_checked"
    assert "no manifest" in found["totals"]["detail"]
    assert "no such column" in found["unique"]["detail"]


def test_a_receipt_that_is_told_again_is_taken_once() -> None:
    line = told_line(receipt("a.csv", 5, figures=FIGURES))
    line.feed(HOUR + 70, tell(receipt("a.csv", 5, figures=FIGURES)))
    line.feed(2 * HOUR + 60, tick())
    told = [facts_of(record["facts"])[1] for record in line.records.values()]
    assert sum(map(len, told)) == 1


def test_a_copy_that_is_skipped_while_its_first_file_is_judged_loses_no_row_of_that() -> None:
    line = Line(law(*OF_FILES))
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival")))
    line.feed(2, tell(receipt("b.csv", 4, first_name="a.csv")))
    stages = {"consumed": 20, "quarantined": 2, "inserted": 18}
    line.feed(3, delta(window(ARRIVAL_HOUR, "arrival")))
    line.feed(4, tell(receipt("a.csv", 5, rows=20, stages=stages)))
    line.feed(HOUR + 60, tick())
    assert verdicts(line, ARRIVAL_HOUR)["stages"]["outcome"] == "pass"


def test_a_receipt_that_is_no_final_one_leaves_the_file_to_be_counted_again() -> None:
    late = receipt("a.csv", 5, final=False, stages={"consumed": 10, "quarantined": 1, "inserted": 0})
    line = told_line(late)
    line.feed(HOUR + 70, tell(receipt("a.csv", 9, figures=FIGURES)))
    line.feed(2 * HOUR + 60, tick())
    assert verdicts(line, ARRIVAL_HOUR)["stages"]["outcome"] == "fail"
    assert verdicts(line, ARRIVAL_HOUR + 1)["stages"]["outcome"] == "pass"


@pytest.mark.parametrize("seed", range(3))
def test_kill_between_any_two_entries_of_receipts_and_silence_changes_nothing(seed: int) -> None:
    laws, seeded = (
        law(*OF_FILES, CheckRule("volume", "row_count", bounds=Bounds(lower=1)), silence=True),
        random.Random(seed),
    )
    values = []
    for number in range(40):
        file = f"{number:016x}"
        values.append(delta(window(ARRIVAL_HOUR + number // 8, "arrival"), window(number)) | {"file": file})
        values.append(tell(receipt(f"{number}.csv", number - number % 3, figures=FIGURES, file=file)))
    values += [tick()] * 3
    straight, killed = Line(laws), Line(laws)
    for number, value in enumerate(values):
        offset = number * 700
        straight.feed(offset, value)
        written = len(list(straight.plans[-1].entries()))
        for stop in sorted({0, 1, seeded.randrange(written), written - 1}):
            killed.feed(offset, value, entries=stop)
        killed.feed(offset, value)
    held = [{key: data for key, data in line.table.items() if key[0] in "hakrcput"} for line in (straight, killed)]
    assert (killed.records, killed.alerts) == (straight.records, straight.alerts)
    assert held[0] == held[1]


def test_a_dataset_that_falls_silent_altogether_closes_empty_windows_that_fail() -> None:
    sources = {"seen": pack_cell(LastSeen({"north": BASE + ARRIVAL_HOUR * HOUR}))}
    rules = (
        CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS),
        CheckRule("sources", "silent_source", ("mass",)),
    )
    line = Line(law(*rules, silence=True))
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival", cells={"sources": sources})))
    line.feed(HOUR + 60, tick())
    assert line.windows.due(NOW + 2 * HOUR + 29, line.laws) == []
    assert line.windows.due(NOW + 2 * HOUR + 30, line.laws) == [("orders", "1")]
    line.feed(2 * HOUR + 31, tick())
    found = verdicts(line, ARRIVAL_HOUR + 1)
    assert {name: one["outcome"] for name, one in found.items()} == {"volume": "fail", "sources": "fail"}
    assert {alert["rule"] for alert in line.alerts.values()} == {"volume", "sources"}


def test_a_long_silence_closes_a_bounded_number_of_windows_and_says_how_many_it_left_out() -> None:
    line = Line(law(CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS), silence=True))
    line.feed(1, delta(window(0)))
    line.feed(2, delta(window(200)))
    empty = [start for (clock, start, _), record in line.records.items() if clock == "event" and not record["rows"]]
    assert empty == [BASE + hour * HOUR for hour in range(200 - MOST_EMPTY, 200)]
    assert line.plans[-1].left_out == {"event": 199 - MOST_EMPTY}
    for hours in range(1, 3 * MOST_EMPTY):
        line.feed(hours * HOUR + 60, tick())
    assert len([place for place in line.records if place[0] == "arrival"]) <= MOST_EMPTY
    assert line.windows.due(NOW + 1000 * HOUR, line.laws) == []


def test_records_that_come_for_a_window_that_was_closed_empty_revise_it() -> None:
    line = Line(law(CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS), silence=True))
    line.feed(1, delta(window(0)))
    line.feed(2, delta(window(4)))
    line.feed(3, delta(window(2, rows=7)))
    assert not line.plans[-1].too_late
    line.feed(3 + REVISE_SECS, delta(stage=TICK))
    assert line.told() == [(0, 0, 10), (1, 0, 0), (2, 0, 0), (3, 0, 0), (2, 1, 7)]
    assert verdicts(line, 2, "event", 1)["volume"]["outcome"] == "pass"


def schemas(*ids: int) -> dict[str, Any]:
    return {"schemas": {"schemas": pack_cell(Tally(dict.fromkeys(map(str, ids), 5)))}}


def record_schema(**fields: FieldType) -> RecordSchema:
    return RecordSchema("orders", tuple(RecordField(name, kind) for name, kind in fields.items()))


def test_a_new_schema_is_told_compatible_or_breaking_by_what_the_registry_says_of_its_id() -> None:
    line = Line(law(CheckRule("schemas", "schema_change")))
    line.feed(1, delta(window(0, cells=schemas(7))))
    line.feed(2, delta(window(1, cells=schemas(8))))
    with pytest.raises(SchemaNeeded):
        line.feed(3, delta(window(2, cells=schemas(9))))
    line.windows.schemas |= {
        7: record_schema(mass=FieldType.LONG),
        8: record_schema(mass=FieldType.LONG, who=FieldType.STRING),
        9: record_schema(mass=FieldType.STRING, who=FieldType.STRING),
    }
    line.feed(3, delta(window(2, cells=schemas(9))))
    line.feed(4, delta(window(3)))
    assert [verdicts(line, hour, "event")["schemas"]["outcome"] for hour in (0, 1, 2)] == ["pass", "pass", "fail"]
    assert "8 (compatible)" in verdicts(line, 1, "event")["schemas"]["detail"]
    assert "9 (breaking)" in verdicts(line, 2, "event")["schemas"]["detail"]


def test_the_newest_registered_schema_is_compared_with_the_contract() -> None:
    rule = CheckRule("match", "schema_match", types={"mass": FieldType.LONG})
    line = Line(law(rule))
    line.windows.schemas[9] = record_schema(mass=FieldType.LONG, extra=FieldType.LONG)
    cells = {"match": {"fields": pack_cell(Tally({"compared": 10}))}}
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival", cells=cells)))
    line.feed(2, tell(schema_id=9))
    line.feed(HOUR + 60, tick())
    assert "registered: extra is new" in verdicts(line, ARRIVAL_HOUR)["match"]["detail"]


def drift(reference: str) -> CheckRule:
    return CheckRule("drift", "category_drift", ("who",), {"reference": reference, "threshold": 0.1})


def people(hour: int, **counts: int) -> dict[str, Any]:
    cells = {"top": pack_cell(Top.of(pl.Series([name for name, count in counts.items() for _ in range(count)])))}
    return window(hour, rows=sum(counts.values()), fields={"who": cells})


def test_a_pinned_range_is_what_later_windows_are_compared_with_for_ever() -> None:
    rule = drift(f"pinned:{'2023-11-14T22:00:00'}/PT2H")
    line = Line(law(rule))
    for hour in range(3):
        line.feed(hour, delta(people(hour, ana=500, raj=500)))
    line.feed(3, delta(people(3, ana=1000)))
    line.feed(4, delta(people(70, ana=500, raj=500)))
    again = Line(line.laws, line.table)
    again.feed(5, delta(people(200, ana=1000)))
    again.feed(6, delta(people(201, ana=1000)))
    outcomes = {hour: verdicts(line, hour, "event")["drift"]["outcome"] for hour in (0, 1, 2, 3)}
    assert outcomes == {0: "not_checked", 1: "not_checked", 2: "pass", 3: "fail"}, (
        "the range is not compared with itself"
    )
    assert verdicts(again, 70, "event")["drift"]["outcome"] == "pass"
    assert verdicts(again, 200, "event")["drift"]["outcome"] == "fail"


def test_a_reference_that_somebody_pins_under_a_name_is_used_from_then_on() -> None:
    line = Line(law(drift("pinned:good")))
    line.feed(1, delta(people(0, ana=1000)))
    line.feed(2, delta(people(1, ana=1000)))
    assert verdicts(line, 0, "event")["drift"]["outcome"] == "not_checked"
    kept = pinned_of([Part.of_delta(1, delta(), people(0, ana=500, raj=500)) for _ in range(2)])
    line.feed(3, pin_values("orders", "1", "good", {"event": kept}))
    line.feed(4, delta(people(2, ana=1000)))
    assert verdicts(line, 1, "event")["drift"]["outcome"] == "fail"


def test_figures_of_a_reference_that_do_not_merge_are_told_and_not_passed_over() -> None:
    line = Line(law(drift("pinned:good")))
    broken = Part(1, "1", 10, fields={"who": {"top": pack_cell(Tally({"a": 1}))}}, unmerged={"field:who": "two kinds"})
    line.feed(1, delta(people(0, ana=10)))
    line.feed(2, pin_values("orders", "1", "good", {"event": broken}))
    line.feed(3, delta(people(1, ana=10)))
    assert "two kinds" in verdicts(line, 0, "event")["drift"]["detail"]
    assert [alert["rule"] for alert in line.alerts.values()] == ["check_failed"]


def test_a_rule_that_never_has_a_verdict_is_an_alert_of_its_own_once_and_resolved_when_it_has() -> None:
    line = Line(law(CheckRule("late", "late_rate", (), {"after_secs": 5.0}, Bounds(upper=1.0), Unit.PERCENT)))
    for hour in range(40):
        line.feed(hour, delta(window(hour)))
    (alert,) = line.alerts.values()
    assert (alert["rule"], alert["state"], alert["severity"]) == ("check_failed", "open", "warning")
    assert "had no verdict in 24 windows" in alert["message"]
    for hour in range(40, 45):
        line.feed(hour, delta(window(hour, counts={"late": {"timed": 10, "failed": 0}})))
    assert [one["state"] for one in line.alerts.values()] == ["open", "resolved"]


def test_a_rule_that_is_told_on_the_other_clock_is_no_such_alert() -> None:
    line = Line(law(CheckRule("parsed", "parse_errors", unit=Unit.PERCENT)))
    for number in range(40):
        line.feed(number * HOUR, delta(window(number), window(ARRIVAL_HOUR + number, "arrival")))
    assert verdicts(line, 5, "event")["parsed"]["outcome"] == "not_checked"
    assert verdicts(line, ARRIVAL_HOUR + 5)["parsed"]["outcome"] == "pass"
    assert not line.alerts


def test_parts_that_an_earlier_version_wrote_can_be_read() -> None:
    whole, stream = Part(7, "1", 10, fields={"x": {"counts": b"abc"}}), io.BytesIO()
    earlier = {"type": "record", "name": "part", "fields": FIELDS[:-1]}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(earlier), vars(whole))
    assert Part.unpack(stream.getvalue()) == whole
    assert json.loads(json.dumps(Part.unpack(replace(whole, receipts={"a": "{}"}).pack()).receipts)) == {"a": "{}"}


def test_a_contract_is_asked_for_after_a_restart_although_every_window_is_closed() -> None:
    line = Line(law(CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS), silence=True))
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival")))
    line.feed(HOUR + 60, tick())
    again = line.restarted()
    assert again.unknown_laws({}) == [("orders", "1")]
    assert again.unknown_laws(line.laws) == []


def test_a_window_that_is_closed_by_a_message_with_a_new_schema_is_the_same_after_a_kill() -> None:
    rule = CheckRule("match", "schema_match", types={"mass": FieldType.LONG})
    cells = {"match": {"fields": pack_cell(Tally({"compared": 10}))}}
    lines = [Line(law(rule)), Line(law(rule))]
    for line, kills in zip(lines, (False, True), strict=True):
        line.feed(1, delta(window(ARRIVAL_HOUR, "arrival", cells=cells)))
        line.windows.schemas[9] = record_schema(mass=FieldType.LONG, extra=FieldType.LONG)
        for stop in range(20 if kills else 0):
            line.feed(HOUR + 60, tell(schema_id=9), entries=stop)
            line.windows.schemas[9] = record_schema(mass=FieldType.LONG, extra=FieldType.LONG)
        line.feed(HOUR + 60, tell(schema_id=9))
    assert lines[0].records == lines[1].records
    assert "registered: extra is new" in verdicts(lines[0], ARRIVAL_HOUR)["match"]["detail"]


def test_a_judge_that_is_behind_closes_no_window_of_arrival_as_empty_before_its_rows_come() -> None:
    line = Line(law(CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS), silence=True))
    line.feed(1, delta(window(ARRIVAL_HOUR, "arrival")))
    line.feed(6 * HOUR, delta(window(ARRIVAL_HOUR + 1, "arrival")))
    line.feed(6 * HOUR + 1, tick(idle=False))
    line.feed(6 * HOUR + 2, delta(window(ARRIVAL_HOUR + 3, "arrival")))
    assert [record["rows"] for record in line.records.values()] == [10, 10, 10]
    assert not line.alerts
    assert line.windows.due(NOW + 6 * HOUR + 3, line.laws) == [("orders", "1")]
    assert line.windows.due(NOW + 6 * HOUR + 3, line.laws, empty=False) == []
    line.feed(6 * HOUR + 31, tick())
    rows = {(start - BASE) // HOUR - ARRIVAL_HOUR: record["rows"] for (_, start, _), record in line.records.items()}
    assert rows == {0: 10, 1: 10, 3: 10, 2: 0, 4: 0, 5: 0}
    assert {revision for _, _, revision in line.records} == {0}
    assert line.windows.due(NOW + 6 * HOUR + 40, line.laws) == []


def test_a_kill_in_an_idle_tick_after_windows_were_held_back_changes_nothing() -> None:
    laws = law(CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS), silence=True)
    values = {1: delta(window(ARRIVAL_HOUR, "arrival")), 6 * HOUR: delta(window(ARRIVAL_HOUR + 3, "arrival"))}
    values |= {6 * HOUR + 31: tick(), 9 * HOUR: tick()}
    straight, killed = Line(laws), Line(laws)
    for offset, value in values.items():
        straight.feed(offset, value)
        for stop in range(len(list(straight.plans[-1].entries()))):
            killed.feed(offset, value, entries=stop)
        killed.feed(offset, value)
    assert (killed.records, killed.alerts) == (straight.records, straight.alerts)
    assert killed.table == straight.table


def test_smaller_windows_of_a_new_contract_are_not_closed_inside_days_that_were_counted() -> None:
    rule = CheckRule("volume", "row_count", bounds=Bounds(lower=1), unit=Unit.ROWS)
    hourly = law(rule, silence=True)
    daily = replace(hourly["orders", "1"], spec=WindowSpec("at", 24 * HOUR))
    day = -(-BASE // (24 * HOUR)) * 24 - BASE // HOUR
    line = Line({("orders", "1"): daily, ("orders", "2"): replace(hourly["orders", "1"], version="2")})
    line.feed(1, delta(window(day)))
    line.feed(2, delta(window(day + 24)))
    line.feed(3, delta(window(day + 50)) | {"contract_version": "2"})
    assert line.told() == [(day, 0, 10), (day + 24, 0, 10), (day + 48, 0, 0), (day + 49, 0, 0)]
