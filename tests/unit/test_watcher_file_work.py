"""The way of one file, step by step, without Kafka: what would go out, and where the file is afterwards."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from headrace.core.vocabulary import FileState, Reason
from headrace.observability.tracing import FileTracer, SpanRecord
from headrace.producers import endings as endings_module
from headrace.producers import file_work as file_work_module
from headrace.producers.claim import ClaimedFile
from headrace.producers.endings import Endings
from headrace.producers.file_work import FileWork, Steps
from headrace.producers.inbox import Oddity
from headrace.producers.ledger import LedgerView
from headrace.producers.messages import Messages
from headrace.producers.outgoing import Channel, Outgoing
from headrace.producers.plan import Plan
from headrace.producers.readers.base import FileRefused, ReadFrame
from headrace.schemas.ledger import FileEntry, entry_key, frame_entry, read_entry
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system
from headrace.settings import Paths

SCHEMA = RecordSchema("orders", (RecordField("line", FieldType.STRING),))
Frames = Callable[[ClaimedFile, int, int], Iterator[ReadFrame]]


class Ids:
    """Stands in for the registry: the ids of the platform's own schemas."""

    def system_id(self, _topic: str, _name: str) -> int:
        return 7


def read_lines(claimed: ClaimedFile, row: int, byte: int, lines: int = 2) -> Iterator[ReadFrame]:
    """Read a file of lines, two at a time."""
    claimed.stream.seek(byte)
    while True:
        found = [line.rstrip(b"\n").decode() for _ in range(lines) if (line := claimed.stream.readline())]
        byte = claimed.stream.tell()
        last = not claimed.stream.read(1)
        claimed.stream.seek(byte)
        rows = pl.Series("_row", range(row, row + len(found)), dtype=pl.Int64)
        row += len(found)
        yield ReadFrame(pl.DataFrame({"line": pl.Series(found, dtype=pl.String), "_row": rows}), (), row, byte, last)
        if last:
            return


class Lines:
    """A planner whose only reader reads lines; a test may put another in its place."""

    def __init__(self) -> None:
        self.frames: Frames = read_lines

    def plan(self, claimed: ClaimedFile, resumed: FileEntry | None) -> Plan:
        return Plan("1.0.0+ab", 0.1, "me", "lines", SCHEMA, 3, 0, lambda row, byte: self.frames(claimed, row, byte))


class Bench:
    """A FileWork with a home, and everything that it gave out."""

    def __init__(self, home: Path) -> None:
        self.paths = Paths(home)
        self.inbox = self.paths.inbox / "orders"
        self.inbox.mkdir(parents=True)
        self.planner = Lines()
        self.view = LedgerView()
        self.odd: list[Oddity] = []
        self.balanced: set[str] = set()
        self.spans: list[SpanRecord] = []
        self.restart()

    def restart(self) -> None:
        """Begin as a new process does: with the ledger's view, and nothing else remembered."""
        messages = Messages(cast(Registry, Ids()))
        active: set[str] = set()
        endings = Endings(self.paths, messages, released=active.discard, settled=lambda _path, _claimed: None)
        tracer = FileTracer(self.spans.append)
        self.work = FileWork(
            self.paths,
            self.view,
            self.planner,
            messages,
            tracer,
            endings,
            self.odd.append,
            lambda entry: not entry.provable or entry.sha256 in self.balanced,
            active=active,
        )

    def drop(self, name: str, content: str) -> Path:
        path = self.inbox / name
        path.write_text(content)
        return path

    def start(self, name: str) -> Steps:
        return self.work.start("orders", name, 1)

    def commit(self, item: Outgoing) -> Outgoing:
        self.view.apply(item.key, read_entry(frame_entry(item.entry, 7)))
        if item.committed is not None:
            item.committed()
        return item

    def run(self, steps: Steps) -> list[Outgoing]:
        return [self.commit(item) for item in steps if item is not None]

    def names(self, folder: str) -> list[str]:
        found = self.paths.home / folder / "orders"
        return sorted(os.listdir(found)) if found.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rows(items: list[Outgoing]) -> int:
    return sum(len(item.records) for item in items)


def test_each_frame_says_where_the_next_one_begins(bench: Bench) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")
    items = bench.run(bench.start("a.txt"))
    assert [(item.entry.state.value, item.entry.next_row, item.entry.next_byte) for item in items] == [
        ("claimed", 0, 0),
        ("publishing", 2, 8),
        ("published", 3, 14),
    ]
    assert [len(item.records) for item in items] == [0, 2, 1]
    assert bench.names("done") == [f"{items[0].entry.sha256[:12]}-a.txt"]
    assert {span.name for span in bench.spans} == {"ready", "read", "publish", "file"}


def test_copy_dropped_while_the_first_is_read_waits_for_it_and_is_skipped(bench: Bench) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")
    bench.drop("b.txt", "one\ntwo\nthree\n")
    first, copy = bench.start("a.txt"), bench.start("b.txt")
    bench.commit(cast(Outgoing, next(first)))
    assert next(copy) is None
    bench.run(first)
    (skipped,) = bench.run(copy)
    assert (skipped.entry.state, skipped.entry.first_name) == (FileState.SKIPPED, "a.txt")
    assert skipped.key.startswith(entry_key("orders", skipped.entry.sha256) + "/")
    assert len(bench.names("done")) == 2


CONTENT = "one\ntwo\nthree\nfour\nfive\n"


def changed_after_two_rows(bench: Bench) -> Outgoing:
    """Let a file change after its first frame, and return its last entry."""
    path = bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    with path.open("r+") as stream:
        items = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)]
        stream.truncate(3)
        items += bench.run(steps)
    return items[-1]


def test_rest_of_a_changed_file_is_published_when_the_same_bytes_come_again(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    assert (changed.entry.state, changed.entry.rows_published) == (FileState.CHANGED, 2)
    assert changed.delta is not None
    assert read_system("profile_delta", changed.delta)["file_rows"] == 2
    assert bench.names("inbox") == ["a.txt"]
    bench.balanced.add(changed.entry.sha256)
    bench.drop("a.txt", CONTENT)
    again = bench.run(bench.start("a.txt"))
    assert (rows(again), again[-1].entry.rows_published, again[-1].entry.state) == (3, 5, FileState.PUBLISHED)


def test_changed_file_that_comes_back_is_not_touched_before_its_receipt_is_balanced(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    assert [next(steps) for _turn in range(3)] == [None, None, None]
    bench.balanced.add(changed.entry.sha256)
    again = bench.run(steps)
    assert (again[0].entry.next_row, rows(again), again[-1].entry.state) == (2, 3, FileState.PUBLISHED)


def test_changed_file_whose_receipt_stays_open_is_set_aside_in_the_inbox(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_work_module, "_HANDOVER_SECS", 0.0)
    changed = changed_after_two_rows(bench)
    bench.drop("a.txt", CONTENT)
    assert bench.run(bench.start("a.txt")) == []
    assert (bench.names("inbox"), bench.names("work")) == (["a.txt"], [])
    assert [odd.detail for odd in bench.odd] == ["its first 2 rows are not proven stored yet; it goes on when they are"]
    assert bench.view.resumable("orders", changed.entry.sha256) == changed.entry


def test_file_whose_stored_prefix_differs_is_refused_and_never_published_twice(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    bench.balanced.add(changed.entry.sha256)
    bench.view.apply(changed.key, changed.entry.with_changes(prefix_sha256="00" * 32))
    for _time in range(2):
        bench.drop("a.txt", CONTENT)
        (refused,) = bench.run(bench.start("a.txt"))
        assert (refused.entry.state, refused.entry.reason) == (FileState.REJECTED, "unreadable")
        assert "as rows 0 to 1; those stand" in refused.entry.detail
        assert (rows([refused]), refused.entry.next_row, refused.entry.rows_published) == (0, 2, 2)


def test_begun_file_that_was_refused_at_its_second_coming_goes_on_at_its_third(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    bench.balanced.add(changed.entry.sha256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.planner, "plan", refused_plan)
        bench.drop("a.txt", CONTENT)
        assert bench.run(bench.start("a.txt"))[-1].entry.state is FileState.REJECTED
    bench.drop("a.txt", CONTENT)
    again = bench.run(bench.start("a.txt"))
    assert (rows(again), again[-1].entry.rows_published) == (3, 5)


def test_file_refused_with_rows_is_not_touched_again_before_its_receipt_is_balanced(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    bench.balanced.add(changed.entry.sha256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.planner, "plan", refused_plan)
        bench.drop("a.txt", CONTENT)
        refused = bench.run(bench.start("a.txt"))[-1]
    assert (refused.entry.provable, refused.entry.final, refused.entry.rows_published) == (True, False, 2)
    assert refused.delta is not None
    said = read_system("profile_delta", refused.delta)
    assert (said["file_rows"], said["file_detail"]) == (2, "no header")
    assert (bench.paths.home / said["file_path"]).read_text() == CONTENT
    bench.balanced.clear()
    bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    assert [next(steps) for _turn in range(2)] == [None, None]
    bench.balanced.add(changed.entry.sha256)
    assert bench.run(steps)[-1].entry.rows_published == 5


def refused_plan(_claimed: ClaimedFile, _resumed: FileEntry | None) -> Plan:
    raise FileRefused(Reason.NO_HEADER, "no header")


def test_touched_file_is_not_taken_for_a_changed_one(bench: Bench) -> None:
    path = bench.drop("a.txt", "one\ntwo\nthree\n")
    steps = bench.start("a.txt")
    with path.open("r") as stream:
        next(steps)
        os.utime(stream.fileno(), (5, 5))
        items = bench.run(steps)
    assert items[-1].entry.state is FileState.PUBLISHED


@pytest.mark.parametrize("error", [RuntimeError("a bug"), FileRefused(Reason.BINARY, "a picture")])
def test_reader_that_fails_or_refuses_in_mid_file_ends_it_as_partial_and_keeps_what_was_published(
    bench: Bench, error: Exception
) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")

    def broken(claimed: ClaimedFile, row: int, byte: int) -> Iterator[ReadFrame]:
        yield next(read_lines(claimed, row, byte))
        raise error

    bench.planner.frames = broken
    last = bench.run(bench.start("a.txt"))[-1]
    assert (last.entry.state, last.entry.reason) == (FileState.PARTIAL, "unreadable")
    assert str(error) in last.entry.detail
    assert (last.entry.rows_published, last.entry.rows_unreadable) == (3, 1)
    row = read_system("quarantined_row", last.quarantined[0])
    assert (row["_row"], row["byte_start"], row["byte_end"], row["raw"]) == (2, 8, 14, b"three\n")


def test_reader_that_is_broken_from_the_start_rejects_its_file(bench: Bench) -> None:
    bench.drop("a.txt", "one\n")

    def broken(_claimed: ClaimedFile, _row: int, _byte: int) -> Iterator[ReadFrame]:
        raise RuntimeError("a bug")

    bench.planner.frames = broken
    last = bench.run(bench.start("a.txt"))[-1]
    assert (last.entry.state, last.entry.reason) == (FileState.REJECTED, "unreadable")
    assert bench.names("rejected") == ["a.txt", "a.txt.reason.json"]


def test_rejected_file_is_tried_again_when_it_is_dropped_again(bench: Bench) -> None:
    bench.drop("a.txt", "one\n")

    def refused(_claimed: ClaimedFile, _row: int, _byte: int) -> Iterator[ReadFrame]:
        raise FileRefused(Reason.NO_HEADER, "no header")

    bench.planner.frames = refused
    assert bench.run(bench.start("a.txt"))[-1].entry.reason == "no_header"
    bench.planner.frames = read_lines
    bench.drop("a.txt", "one\n")
    assert bench.run(bench.start("a.txt"))[-1].entry.state is FileState.PUBLISHED


def test_digest_that_begins_like_another_is_refused(bench: Bench) -> None:
    bench.drop("a.txt", "one\n")
    entry = bench.run(bench.start("a.txt"))[-1].entry
    other = replace(entry, sha256=entry.sha256[:16] + "0" * 48, name="other.txt")
    view = LedgerView([(entry_key("orders", other.sha256), other)])
    bench.view = bench.work.view = view
    bench.drop("b.txt", "one\n")
    last = bench.run(bench.start("b.txt"))[-1]
    assert (last.entry.state, last.entry.reason) == (FileState.REJECTED, "digest_collision")
    assert last.delta is None
    assert view.same_prefix("orders", other.sha256) == (other.sha256, other.state, "other.txt")


def test_full_disk_at_a_rejection_leaves_the_file_to_be_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop("a.txt", "one\n")

    def refused(_claimed: ClaimedFile, _row: int, _byte: int) -> Iterator[ReadFrame]:
        raise FileRefused(Reason.NO_HEADER, "no header")

    def full(*_arguments: Any, **_named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.planner.frames = refused
    with monkeypatch.context() as patch:
        patch.setattr(endings_module, "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            bench.run(bench.start("a.txt"))
    (work,) = bench.names("work")
    bench.restart()
    assert bench.run(bench.work.go_on("orders", work, None))[-1].entry.state is FileState.REJECTED
    assert bench.names("rejected") == ["a.txt", "a.txt.reason.json"]
    assert bench.names("work") == []


def test_file_killed_after_its_claim_goes_on_under_its_entry(bench: Bench) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")
    steps = bench.start("a.txt")
    entry = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)][-1].entry
    steps.close()
    bench.restart()
    (work,) = bench.names("work")
    assert bench.view.open_entries() == [entry]
    items = bench.run(bench.work.go_on("orders", work, entry))
    assert (rows(items), items[-1].entry.rows_published) == (1, 3)


def test_file_that_holds_other_bytes_after_a_kill_is_given_up_and_comes_in_as_new(bench: Bench) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")
    steps = bench.start("a.txt")
    entry = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)][-1].entry
    steps.close()
    bench.restart()
    (work,) = bench.names("work")
    (bench.paths.work / "orders" / work).write_text("one\ntwo\nfour\n")
    items = bench.run(bench.work.go_on("orders", work, entry))
    assert [(item.entry.state.value, item.entry.rows_published) for item in items if item.entry.published_at] == [
        ("changed", 2),
        ("published", 3),
    ]


def test_channel_gives_many_small_items_at_once_and_stops_a_producer_that_is_ahead(bench: Bench) -> None:
    bench.drop("a.txt", "one\ntwo\nthree\n")
    items = [item for item in bench.start("a.txt") if item is not None]
    channel = Channel(room_rows=100)
    for item in items:
        assert channel.put(item)
    assert channel.take(max_rows=100, timeout=0.0) == items
    assert channel.take(max_rows=100, timeout=0.0) == []
    channel.put(items[1])
    channel.put(items[1])
    assert channel.take(max_rows=3, timeout=0.0) == [items[1]]
    channel.close()
    assert not channel.put(items[0])
    assert channel.take(max_rows=3, timeout=0.0) == [items[1]]
    assert channel.take(max_rows=3, timeout=0.0) is None


def test_failure_of_the_reading_side_is_raised_after_what_it_had_ready(bench: Bench) -> None:
    bench.drop("a.txt", "one\n")
    (item, *_rest) = [item for item in bench.start("a.txt") if item is not None]
    channel = Channel(room_rows=100)
    channel.put(item)
    channel.fail(ValueError("lost"))
    assert channel.take(max_rows=3, timeout=0.0) == [item]
    with pytest.raises(ValueError, match="lost"):
        channel.take(max_rows=3, timeout=0.0)
