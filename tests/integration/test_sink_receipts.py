"""The platform's own records in their tables, the receipts that follow from them, and the commands that show them."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from headrace.cli import headrace
from headrace.core.child import wait_until
from headrace.core.identity import root_span_id, trace_id
from headrace.core.vocabulary import FileState
from headrace.observability.status import read_stage
from headrace.observability.tracing import FileTracer, SpanRecord
from headrace.schemas.ledger import FileEntry, entry_key, frame_entry, new_entry, read_entry
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import ADVICE, ALERTS, LEDGER, PROFILES, QUARANTINE, WINDOWS, data_topic, dataset_topics
from headrace.sinks.clickhouse import ClickHouseSink
from headrace.sinks.receipts import Reconciler, TableCounts, run
from headrace.sinks.sink_loop import SinkSlot, SlotTools
from headrace.sinks.tables import create_table
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import CompactedTopic, Topics, TransactionalWriter
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

LIMIT_SECS = 60.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Line:
    """A dataset on the shared stack: writes what the other stages would, and lets the sink work."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.settings = stack.settings
        self.dataset = f"rec_{uuid4().hex[:10]}"
        self.client = stack.settings.kafka_client()
        self.registry = Registry(stack.settings)
        self.warehouse = Warehouse(stack.settings)
        Topics(self.client).ensure(dataset_topics(self.dataset))
        self._writer = TransactionalWriter(self.client, f"test-{self.dataset}")
        tools = SlotTools(
            client=self.client,
            registry=self.registry,
            sink=lambda: ClickHouseSink(Warehouse(stack.settings)),
            tracer=FileTracer(lambda _span: None),
        )
        self.slot = SinkSlot(tools, slot=0, slots=1)

    def send(self, topic: str, name: str, key: str | None, *values: dict[str, Any] | None) -> None:
        schema_id = self.registry.system_id(topic, name)
        messages: list[Any] = [value and frame_system(name, schema_id, value) for value in values]
        self._writer.begin()
        self._writer.write(topic, messages, partition=0, key=key.encode() if key else None)
        self._writer.commit()

    def ledger(self, entry: FileEntry) -> None:
        self.ledger_of([entry])

    def ledger_of(self, entries: Sequence[FileEntry]) -> None:
        schema_id = self.registry.system_id(LEDGER, "file_entry")
        self._writer.begin()
        for entry in entries:
            key = entry_key(entry.dataset, entry.sha256).encode()
            self._writer.write(LEDGER, [frame_entry(entry, schema_id)], partition=0, key=key)
        self._writer.commit()

    def entry(self, **fields: Any) -> FileEntry:
        sha256 = uuid4().hex * 2
        given = {"name": "a.csv", "path": "done/a.csv", "bytes": 9, "modified_at": NOW, "updated_at": NOW}
        return new_entry(dataset=self.dataset, sha256=sha256, **given | {"state": FileState.PUBLISHED} | fields)

    def quarantined(self, file: str, row: int) -> dict[str, Any]:
        reasons = [{"code": "required", "field": "id", "rule": "r1", "detail": "missing"}, {"code": "bad_length"}]
        return {
            "_file": file,
            "_row": row,
            "dataset": self.dataset,
            "stage": "read",
            "reasons": reasons,
            "raw": b"\xff\x00;'\n",
            "length": 5,
            "sha256": "00",
            "byte_start": 7,
            "byte_end": 12,
            "trace_id": trace_id(self.dataset, file),
        }

    def store_rows(self, file: str, *rows: int) -> None:
        """Put rows into the dataset's table as the sink would."""
        self.warehouse.execute(create_table(RecordSchema(self.dataset, (RecordField("n", FieldType.LONG),))))
        for row in rows:
            self.warehouse.execute(
                f"INSERT INTO headrace.{self.dataset} (n, _file, _row) SELECT 1, {{file:String}}, {{row:Int64}} "
                "SETTINGS insert_deduplicate = 0",
                {"file": file, "row": row},
            )

    def until(self, query: str, wanted: list[tuple[Any, ...]]) -> None:
        """Let the sink work until a query answers so."""
        deadline = time.monotonic() + LIMIT_SECS
        found: list[tuple[Any, ...]] = []
        tables = "SELECT count() FROM system.tables WHERE database = 'headrace' AND name = 'otel_traces_trace_id_ts_mv'"
        while found != wanted:
            assert time.monotonic() < deadline, found
            for _ in range(3):
                self.slot.step()
            if self.warehouse.rows(tables) == [(1,)]:
                found = self.warehouse.rows(query)


@pytest.fixture
def line(stack: EmbeddedStack) -> Iterator[Line]:
    made = Line(stack)
    yield made
    made.slot.close()
    made.warehouse.close()
    made.registry.close()


@pytest.fixture
def reconcile(line: Line) -> Iterator[Callable[[], dict[str, FileEntry]]]:
    """Look once and return the ledger's entries of the line's dataset by file."""
    reconciler = Reconciler(line.client, line.registry, TableCounts(line.warehouse))
    view = CompactedTopic(line.client, LEDGER)

    def once() -> dict[str, FileEntry]:
        reconciler.step()
        entries = map(read_entry, view.refresh().values())
        return {entry.file: entry for entry in entries if entry.dataset == line.dataset}

    yield once
    reconciler.close()
    view.close()


def test_a_thousand_small_files_at_once_are_all_balanced(
    line: Line, reconcile: Callable[[], dict[str, FileEntry]]
) -> None:
    entries = [line.entry(rows_read=1, rows_published=1) for _number in range(1_000)]
    line.store_rows(entries[0].file, 0)
    files = [entry.file for entry in entries[1:]]
    for start in range(0, len(files), 100):
        values = ", ".join(f"(1, '{file}', 0)" for file in files[start : start + 100])
        line.warehouse.execute(f"INSERT INTO headrace.{line.dataset} (n, _file, _row) VALUES {values}")
    line.ledger_of(entries)
    assert wait_until(lambda: len(reconcile()) == 1_000, LIMIT_SECS)
    assert wait_until(lambda: all(entry.balanced for entry in reconcile().values()), LIMIT_SECS)


def test_quarantined_rows_keep_their_bytes_and_every_reason(line: Line) -> None:
    line.send(data_topic(line.dataset, QUARANTINE), "quarantined_row", None, line.quarantined("aa", 4))
    line.until(
        "SELECT _row, hex(raw), reasons.code, byte_start, isNull(record) FROM headrace.quarantine "
        f"WHERE dataset = '{line.dataset}'",
        [(4, "FF003B270A", ["required", "bad_length"], 7, 1)],
    )


def test_profile_columns_can_be_joined_out(line: Line) -> None:
    column = {"name": "id", "rows": 3, "nulls": 1, "numbers": 2, "mean": 1.5, "m2": 0.5, "minimum": 1.0}
    delta = {"dataset": line.dataset, "file": "aa", "stage": "judge", "rows": 3, "rejected": 1}
    # Open windows are for the quality app: the table has no column for them.
    window = {"clock": "event", "start": 0, "rows": 3, "rejected": 1, "counts": {"r": {"failed": 1}}}
    line.send(
        PROFILES,
        "profile_delta",
        line.dataset,
        delta | {"reasons": {"required": 1}, "rules": {}, "columns": [column], "windows": [window]},
    )
    line.until(
        "SELECT rows, reasons['required'], c.name, c.nulls, c.mean, c.minimum, c.maximum FROM headrace.profiles "
        f"ARRAY JOIN columns AS c WHERE dataset = '{line.dataset}'",
        [(3, 1, "id", 1, 1.5, 1.0, None)],
    )


def test_newest_revision_of_a_window_is_shown_and_every_one_is_kept(line: Line) -> None:
    verdict = {
        "rule": "r", "check": "null_rate", "field": "x", "dimension": "completeness", "severity": "warning",
        "outcome": "fail", "observed": 3.0, "upper": 2.0, "unit": "percent", "rows": 9, "rows_at_risk": 1,
        "detail": "", "demand": "",
    }  # fmt: skip
    profile = {"name": "x", "rows": 9, "nulls": 1, "top": [{"value": "a", "count": 8}], "quantiles": {"0.5": 1.0}}
    for revision, rows in ((0, 9), (1, 10)):
        window = {
            "dataset": line.dataset, "clock": "event", "start": NOW, "end": NOW, "revision": revision, "closed_at": NOW,
            "contract_version": "1", "rows": rows, "score": 50.0, "dimensions": {"completeness": 50.0}, "checked": 1,
            "verdicts": [verdict], "fields": [profile], "counts": {"r/failed": 1},
            "cells": [{"owner": "r", "figure": "f", "data": b"\x00\xff"}],
        }  # fmt: skip
        line.send(WINDOWS, "window", f"{line.dataset}/event/0/{revision}", window)
    shown = (
        "SELECT rows, verdicts.outcome, fields.top[1].value, dimensions['completeness'] FROM headrace.windows "
        f"WHERE dataset = '{line.dataset}'"
    )
    line.until(shown, [(10, ["fail"], ["a"], 50.0)])
    kept = (
        f"SELECT revision, hex(cells[1].data) FROM headrace.window_entries WHERE dataset = '{line.dataset}' ORDER BY 1"
    )
    line.until(kept, [(0, "00FF"), (1, "00FF")])


def test_advice_replaces_itself(line: Line) -> None:
    advice: dict[str, Any] = {
        "advice_id": f"{line.dataset}/a", "dataset": line.dataset, "symptom": "s", "field": "f", "segment": "a=b",
        "evidence": ["seen"], "cause": "c", "action": "do", "owner": "me", "rows_at_risk": 5, "expected_gain": 1.5,
        "state": "proposed", "alert_ids": ["x"], "contract_version": "1", "raised_at": NOW,
    }  # fmt: skip
    line.send(ADVICE, "advice", advice["advice_id"], advice)
    line.send(ADVICE, "advice", advice["advice_id"], advice | {"rows_at_risk": 6})
    query = f"SELECT rows_at_risk, evidence, state FROM headrace.advice WHERE dataset = '{line.dataset}'"
    line.until(query, [(6, ["seen"], "proposed")])


def test_repeated_alert_counts_once(line: Line) -> None:
    alert: dict[str, Any] = {
        "alert_id": f"{line.dataset}/a",
        "dataset": line.dataset,
        "rule": "rejected_share",
        "state": "open",
        "severity": "warning",
        "observed": 0.5,
        "bound": 0.1,
        "rows": 10,
        "rows_at_risk": 5,
        "file": "aa",
        "file_name": "a.csv",
        "reasons": {"required": 5},
        "message": "half",
        "hint": "look",
        "trace_id": "",
        "contract_version": "1",
        "owner": "me",
        "raised_at": NOW,
    }
    line.send(ALERTS, "alert", alert["alert_id"], alert)
    line.send(ALERTS, "alert", alert["alert_id"], alert | {"rows": 11})
    query = f"SELECT rows, reasons['required'] FROM headrace.alerts WHERE dataset = '{line.dataset}'"
    line.until(query, [(11, 5)])


def test_files_shows_the_latest_entry_and_forgets_deleted_ones(line: Line) -> None:
    entry = line.entry(state=FileState.PUBLISHING, rows_published=1)
    note = line.entry(state=FileState.REJECTED)
    line.ledger(entry)
    line.ledger(note)
    line.ledger(entry.with_changes(state=FileState.PUBLISHED, rows_published=3))
    query = f"SELECT state, rows_published FROM headrace.files WHERE dataset = '{line.dataset}' ORDER BY state"
    line.until(query, [("published", 3), ("rejected", 0)])
    line.send(LEDGER, "file_entry", entry_key(note.dataset, note.sha256), None)
    line.until(query, [("published", 3)])


def test_receipt_is_balanced_when_every_row_is_stored_or_quarantined(
    line: Line, reconcile: Callable[[], dict[str, FileEntry]]
) -> None:
    entry = line.entry(rows_published=4)
    partial = line.entry(state=FileState.PARTIAL, rows_published=1)
    for one in (entry, partial):
        line.ledger(one)
    line.store_rows(entry.file, 0, 1, 2)
    assert not reconcile()[entry.file].balanced
    quarantined = [line.quarantined(entry.file, 3), line.quarantined(partial.file, 0)]
    line.send(data_topic(line.dataset, QUARANTINE), "quarantined_row", None, *quarantined)
    line.until(f"SELECT count() FROM headrace.quarantine WHERE dataset = '{line.dataset}'", [(2,)])
    found = reconcile_until(reconcile, lambda entries: all(one.balanced for one in entries.values()))
    assert (found[entry.file].state, found[partial.file].state) == (FileState.BALANCED, FileState.PARTIAL)
    assert (found[entry.file].rows_stored, found[entry.file].rows_quarantined) == (3, 1)
    assert found[entry.file].balanced_at is not None


def test_receipt_of_an_empty_file_is_balanced_at_once(
    line: Line, reconcile: Callable[[], dict[str, FileEntry]]
) -> None:
    entry = line.entry(rows_published=0)
    line.ledger(entry)
    assert reconcile()[entry.file].state is FileState.BALANCED


def test_receipt_of_a_file_that_was_refused_with_rows_is_proved_and_says_refused(
    line: Line, reconcile: Callable[[], dict[str, FileEntry]]
) -> None:
    entry = line.entry(state=FileState.REJECTED, reason="unreadable", rows_published=2)
    without = line.entry(state=FileState.REJECTED, reason="binary")
    for one in (entry, without):
        line.ledger(one)
    line.store_rows(entry.file, 0, 1)
    found = reconcile_until(reconcile, lambda entries: entries[entry.file].balanced)
    assert (found[entry.file].state, found[entry.file].rows_stored) == (FileState.REJECTED, 2)
    assert not found[without.file].balanced
    receipts = f"SELECT file, rows_stored FROM headrace.receipts WHERE dataset = '{line.dataset}' AND balanced"
    line.until(receipts, [(entry.file, 2)])


def test_row_that_is_stored_and_in_quarantine_keeps_the_receipt_open(
    line: Line, reconcile: Callable[[], dict[str, FileEntry]], caplog: pytest.LogCaptureFixture
) -> None:
    entry, sound = line.entry(rows_published=3), line.entry(rows_published=2)
    line.store_rows(entry.file, 0, 1)
    line.store_rows(sound.file, 0)
    quarantined = [line.quarantined(entry.file, 1), line.quarantined(sound.file, 1)]
    line.send(data_topic(line.dataset, QUARANTINE), "quarantined_row", None, *quarantined)
    line.until(f"SELECT count() FROM headrace.quarantine WHERE dataset = '{line.dataset}'", [(2,)])
    for one in (entry, sound):
        line.ledger(one)
    with caplog.at_level(logging.ERROR):
        found = reconcile_until(reconcile, lambda entries: entries[sound.file].balanced)
    assert not found[entry.file].balanced
    events = [vars(record).get("headrace", {}) for record in caplog.records]
    (told,) = [event for event in events if event.get("file") == entry.file]
    assert (told["rows_published"], told["rows_stored"], told["rows_quarantined"], told["in_both"]) == (3, 2, 1, 1)


@pytest.mark.parametrize("rows", [(0, 0), (0, 1, 2)], ids=["doubled", "too many"])
def test_receipt_that_the_tables_contradict_stays_open_and_is_an_error(
    rows: tuple[int, ...],
    line: Line,
    reconcile: Callable[[], dict[str, FileEntry]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = line.entry(rows_published=2)
    line.ledger(entry)
    line.store_rows(entry.file, *rows)
    with caplog.at_level(logging.ERROR):
        assert not reconcile()[entry.file].balanced
        assert not reconcile()[entry.file].balanced
    mine = [record for record in caplog.records if getattr(record, "headrace", {}).get("file") == entry.file]
    assert [record.message for record in mine] == ["file contradicted"]


def test_commands_show_the_quarantine_and_answer_queries(
    line: Line, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(stack.settings.home))
    line.send(data_topic(line.dataset, QUARANTINE), "quarantined_row", None, line.quarantined("ab", 4))
    line.until(f"SELECT count() FROM headrace.quarantine WHERE dataset = '{line.dataset}'", [(1,)])
    run = CliRunner().invoke
    query = f"SELECT dataset, _row FROM headrace.quarantine WHERE dataset = '{line.dataset}'"
    assert run(headrace, ["sql", query, "--format", "CSV"]).output == f'"{line.dataset}",4\n'
    assert run(headrace, ["sql", query + " FORMAT JSONEachRow"]).output == f'{{"dataset":"{line.dataset}","_row":4}}\n'
    listed = json.loads(run(headrace, ["quarantine", "list", line.dataset, "--json"]).output)
    assert {(row["code"], row["rows"], row["first_row"]) for row in listed} == {
        ("required", 1, 4),
        ("bad_length", 1, 4),
    }
    assert "required id (r1)" in run(headrace, ["quarantine", "list", line.dataset]).output
    shown = run(headrace, ["quarantine", "show", line.dataset, "--file", "a"]).output
    assert "file ab row 4 bytes 7-12" in shown
    assert "required id r1: missing" in shown
    assert "nothing of" in run(headrace, ["quarantine", "show", line.dataset, "--row", "5"]).output


def reconcile_until(
    reconcile: Callable[[], dict[str, FileEntry]], condition: Callable[[dict[str, FileEntry]], bool]
) -> dict[str, FileEntry]:
    """Look again and again until the ledger is so."""
    deadline = time.monotonic() + LIMIT_SECS
    while not condition(found := reconcile()):
        assert time.monotonic() < deadline, found
    return found


def test_receipts_wait_while_the_warehouse_refuses_to_count(line: Line) -> None:
    entry = line.entry(rows_published=0)
    paths = line.settings.paths()
    view, stop = CompactedTopic(line.client, LEDGER), threading.Event()
    spans: list[SpanRecord] = []
    line.warehouse.execute(f"CREATE TABLE headrace.{line.dataset} (a UInt8) ENGINE = MergeTree ORDER BY a")
    line.ledger(entry)
    stage = threading.Thread(target=run, args=(line.settings, FileTracer(spans.append), stop))
    stage.start()
    try:
        assert wait_until(
            lambda: bool((told := read_stage(paths, "receipts")) and told["state"] == "waiting"), LIMIT_SECS
        )
        line.warehouse.execute(f"DROP TABLE headrace.{line.dataset} SYNC")
        key = entry_key(entry.dataset, entry.sha256)
        assert wait_until(lambda: read_entry(view.refresh()[key]).balanced, LIMIT_SECS)
    finally:
        stop.set()
        stage.join()
        view.close()
    mine = [span for span in spans if span.trace_id == trace_id(line.dataset, entry.file)]
    assert [(span.name, span.parent_span_id) for span in mine] == [("receipt", root_span_id(line.dataset, entry.file))]
