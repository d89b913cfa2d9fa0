"""What a person sees: the live view of `headrace up`, the demo's table, rows in quarantine, refused SQL."""

import base64
import io
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from headrace.cli import down
from headrace.cli.demo import table_of_datasets
from headrace.cli.stack_view import LineView, plain_lines
from headrace.cli.warehouse import list_lines, readable
from headrace.core.vocabulary import FileState
from headrace.runtime.home import SupervisorReport, locked_home, write_report
from headrace.runtime.status import stack_status
from headrace.schemas.codec import encode, polars_schema
from headrace.schemas.ledger import FileEntry, new_entry
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.settings import Settings
from headrace.transport.warehouse import essential

Entry = Callable[..., FileEntry]
SCHEMA = RecordSchema("orders", (RecordField("id", FieldType.LONG), RecordField("name", FieldType.STRING)))


def line_report(phase: str = "running", **processes: dict[str, Any]) -> SupervisorReport:
    usual = {"kind": "stage", "state": "running", "pid": os.getpid(), "created_at": 0.0, "restarts": 0, "error": ""}
    return {
        "pid": os.getpid(),
        "created_at": 0.0,
        "phase": phase,
        "processes": {name: {**usual, **given} for name, given in processes.items()},  # type: ignore[typeddict-item]
    }


def tell_stage(home: Path, stage: str, **figures: Any) -> None:
    told: dict[str, Any] = {
        "state": "running",
        "pid": os.getpid(),
        "rows": 1_234,
        "rows_per_s": 56.0,
        "lag": 0,
        "memory_bytes": 0,
    }
    told["counters"] = {}
    (home / "run" / "stages").mkdir(parents=True, exist_ok=True)
    (home / "run" / "stages" / f"{stage}.json").write_text(json.dumps(told | figures))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tell_stage(tmp_path, "watcher", lag=3)
    tell_stage(tmp_path, "judge", lag=12_345)
    tell_stage(tmp_path, "quality", lag=-1)
    return Settings(home=tmp_path)


class Screen:
    """A view on a terminal that a test reads, with a clock that it moves."""

    def __init__(self, settings: Settings, *, terminal: bool) -> None:
        self.now = 0.0
        self.settings = settings
        self.file = io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, width=100, color_system=None)
        self.view = LineView(settings, lambda: self.now, console=console)

    def show(self, report: SupervisorReport) -> str:
        """Show a report a second later and return what came on the screen."""
        self.now += 1.0
        shown = len(self.file.getvalue())
        with locked_home(self.settings.paths()):
            write_report(self.settings.paths(), report)
            self.view(report)
        return self.file.getvalue()[shown:]


def rows_of(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def test_live_view_shows_every_stage_with_its_lag_and_a_dash_until_it_is_known(settings: Settings) -> None:
    screen = Screen(settings, terminal=True)
    assert "watcher ready (1.0 s)" in screen.show(line_report("starting", watcher={}))
    text = screen.show(line_report(watcher={}, judge={}, quality={}))
    rows = rows_of(text)
    assert rows["watcher"][:4] == ["running", "1,234", "56", "3"]
    assert rows["judge"][:4] == ["running", "1,234", "56", "12,345"]
    assert rows["quality"][:4] == ["running", "1,234", "56", "-"]
    assert "- until it is known" in text
    assert "-1" not in text
    screen.view.close()


def test_live_view_follows_the_figures_and_tells_a_death_with_its_cause(settings: Settings) -> None:
    screen = Screen(settings, terminal=True)
    screen.show(line_report(watcher={}, judge={}))
    tell_stage(settings.home, "judge", lag=7)
    dead = {"state": "restarting", "restarts": 2, "error": "no [such] table", "pid": 0}
    text = screen.show(line_report(watcher=dead, judge={}))
    assert "watcher restarting: no [such] table" in text
    assert "watcher (2 restarts): no [such] table" in text
    assert rows_of(text)["judge"][3] == "7"
    screen.view.close()


def test_draining_ends_the_live_view_and_tells_each_process_that_stops(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(settings, terminal=True)
    screen.show(line_report(watcher={}, kafka={"kind": "service"}))
    screen.show(line_report("draining", watcher={}, kafka={"kind": "service"}))
    stopped = {"state": "stopped"}
    text = screen.show(line_report("draining", watcher=stopped, kafka={"kind": "service", **stopped}))
    assert "watcher stopped" in text
    assert "kafka stopped" in text
    assert "finishing what is under way" in capsys.readouterr().out


def test_log_lines_of_the_line_show_no_lag_below_nothing(settings: Settings) -> None:
    with locked_home(settings.paths()):
        write_report(settings.paths(), line_report(judge={}, quality={}))
        lines = plain_lines(stack_status(settings))
    assert "lag 12,345" in lines[0]
    assert "lag -," in lines[1]


def test_down_tells_also_of_the_last_process_whose_end_nobody_saw(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    half = line_report("draining", judge={"state": "stopped"}, kafka={"kind": "service"})
    looks = iter([False, True])
    monkeypatch.setattr(down, "is_held", lambda _paths: True)
    monkeypatch.setattr(down, "process_of", lambda *_: None)
    monkeypatch.setattr(down, "wait_until_released", lambda *_: next(looks))
    write_report(settings.paths(), half)
    assert down.stop_line(settings)
    told = capsys.readouterr().out
    assert [line.partition(" (")[0] for line in told.splitlines()] == ["judge stopped", "kafka stopped"]


def test_demo_shows_rates_of_this_run_only_and_counts_what_it_recognised(ledger_entry: Entry) -> None:
    old, new = ledger_entry("orders", "ab" * 32, rows=100, secs=1), ledger_entry("sales", "cd" * 32, rows=50, secs=2)
    again = ledger_entry("orders", "ab" * 32, state=FileState.SKIPPED)
    console = Console(file=io.StringIO(), width=120)
    console.print(table_of_datasets([old, new], [again, new], {"sales": 1}))
    rows = rows_of(console.file.getvalue())  # type: ignore[attr-defined]
    assert rows["dataset"] == ["files", "recognised", "rows", "quarantined", "alerts", "seconds", "rows/s"]
    assert rows["orders"] == ["1", "1", "100", "0", "0", "-", "-"]
    assert rows["sales"] == ["1", "0", "50", "0", "1", "2.0", "25"]


@pytest.fixture
def ledger_entry() -> Entry:
    def made(
        dataset: str, sha256: str, *, rows: int = 0, secs: int = 1, state: FileState = FileState.BALANCED
    ) -> FileEntry:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        fields = {"rows_published": rows, "rows_stored": rows, "claimed_at": at, "updated_at": at}
        return new_entry(
            dataset=dataset,
            sha256=sha256,
            name="a.csv",
            path="x",
            bytes=1,
            modified_at=at,
            state=state,
            balanced=True,
            balanced_at=at + timedelta(seconds=secs),
            **fields,
        )

    return made


class OneSchema:
    """A registry that knows schema 7."""

    def record_schema(self, schema_id: int) -> RecordSchema | None:
        return SCHEMA if schema_id == 7 else None


def held(**fields: Any) -> dict[str, Any]:
    encoded = {name: base64.b64encode(value).decode() for name, value in fields.items() if isinstance(value, bytes)}
    return {"raw": None, "record": None, "length": max(len(v) for v in fields.values()), **encoded}


def framed(schema_id: int = 7) -> bytes:
    values = {"_file": "f", "_row": 1, "id": 7, "name": "Zoë"}
    known = polars_schema(SCHEMA)
    frame = pl.DataFrame({name: [values.get(name)] for name in known}, schema=known)
    return encode(frame, SCHEMA, schema_id)[0]


def test_row_that_was_read_is_shown_by_its_fields() -> None:
    row = readable(held(record=framed()), OneSchema())  # type: ignore[arg-type]
    assert row["values"] == {"id": 7, "name": "Zoë"}


@pytest.mark.parametrize("record", [framed(8), framed()[:-1], b"foreign", b""])
def test_record_that_cannot_be_decoded_is_shown_by_its_bytes(record: bytes) -> None:
    row = readable(held(record=record), OneSchema())  # type: ignore[arg-type]
    assert row["values"] is None
    assert row["record"] == record.decode("utf-8", "backslashreplace")


def test_record_of_which_only_the_beginning_was_kept_is_not_decoded() -> None:
    row = readable(held(record=framed()) | {"length": 100_000}, OneSchema())  # type: ignore[arg-type]
    assert row["values"] is None


def test_unreadable_row_is_shown_as_the_line_it_was() -> None:
    row = readable(held(raw=b"six,caf\xe9"), OneSchema())  # type: ignore[arg-type]
    assert (row["raw"], row["values"]) == ("six,caf\\xe9", None)


def test_refused_sql_is_told_by_code_place_and_first_line_without_the_grammar() -> None:
    grammar = ", ".join(f"token {number}" for number in range(2_000))
    text = (
        "Received ClickHouse exception, code: 62, server response: Code: 62. DB::Exception: Syntax error: failed at "
        f"position 1 (SELCT) (line 1, col 1): SELCT 1\nFROM x. Expected one of: {grammar}: In scope SELECT "
        "formatQuerySingleLine('SELCT 1'). (SYNTAX_ERROR)"
    )
    assert essential(text) == (
        "Code: 62. DB::Exception: Syntax error: failed at position 1 (SELCT) (line 1, col 1): SELCT 1 (SYNTAX_ERROR)"
    )


def test_message_about_sql_has_a_bound_and_keeps_other_errors_whole() -> None:
    assert len(essential("Code: 62. DB::Exception: " + "x" * 10_000)) < 700
    unknown = "Code: 47. DB::Exception: Unknown identifier `nope`. In scope SELECT nope. (UNKNOWN_IDENTIFIER)"
    assert essential(unknown) == unknown


def test_columns_of_the_quarantine_stay_under_each_other_for_long_names() -> None:
    usual = {"file": "0123456789abcdef", "stage": "judge", "code": "required", "field": "id", "rule": "r1"}
    counts = [
        {**usual, "dataset": "orders", "name": "a.csv", "rows": 2, "first_row": 4},
        {**usual, "dataset": "observations_of_weather", "name": f"{'b' * 40}.csv", "rows": 1_000_000, "first_row": 1},
    ]
    head, *rows = list_lines(counts)
    for heading, key in (("file", "file"), ("name", "name"), ("stage", "stage"), ("reason", "code")):
        place = re.search(rf"\b{heading}\b", head)
        assert place is not None
        for row, count in zip(rows, counts, strict=True):
            assert row[place.start() :].startswith(str(count[key])), heading
    assert list_lines(counts[:1])[0].index("file") == 17
