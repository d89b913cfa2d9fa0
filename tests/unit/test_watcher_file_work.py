"""The way of one file, step by step, without Kafka: what would go out, and where the file is afterwards."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from headrace.core.vocabulary import FileState, Reason
from headrace.producers import endings as endings_module
from headrace.producers import file_work as file_work_module
from headrace.producers.claim import ClaimedFile
from headrace.producers.ledger import LedgerView
from headrace.producers.outgoing import Channel, Outgoing
from headrace.producers.readers.base import FileRefused, ReadFrame
from headrace.schemas.ledger import entry_key
from headrace.schemas.system import read_system
from headrace.testing.file_bench import CONTENT, Bench, read_lines, refused_plan, rows


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


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
    detail = "its first 2 rows are not proven stored yet; it goes on when they are"
    assert [(odd.reason, odd.detail) for odd in bench.odd] == [(Reason.NOT_PROVED, detail)]
    assert bench.view.resumable("orders", changed.entry.sha256) == changed.entry


def test_file_whose_stored_prefix_differs_is_refused_and_never_published_twice(bench: Bench) -> None:
    changed = changed_after_two_rows(bench)
    bench.balanced.add(changed.entry.sha256)
    bench.view.apply(changed.key, changed.entry.with_changes(prefix_sha256="00" * 32))
    for _time in range(2):
        bench.drop("a.txt", CONTENT)
        (refused,) = bench.run(bench.start("a.txt"))
        assert (refused.entry.state, refused.entry.reason) == (FileState.REJECTED, "prefix_mismatch")
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
    assert (last.entry.state, last.entry.reason) == (FileState.PARTIAL, "reader_failed")
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
    assert (last.entry.state, last.entry.reason) == (FileState.REJECTED, "reader_failed")
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


@pytest.mark.parametrize("killed", [False, True])
def test_full_disk_at_a_rejection_leaves_the_file_to_be_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    bench.drop("a.txt", "one\n")

    def refused(_claimed: ClaimedFile, _row: int, _byte: int) -> Iterator[ReadFrame]:
        raise FileRefused(Reason.NO_HEADER, "no header")

    def full(*_arguments: Any, **_named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.planner.frames = refused
    with monkeypatch.context() as patch:
        patch.setattr(endings_module, "write_atomically", full)
        patch.setattr(endings_module, "_RETRY_SECS", 0.0)
        bench.run(bench.start("a.txt"))
        bench.work.endings.retry()
    assert bench.work.active, "the same bytes wait"
    if not killed:
        bench.work.endings.retry()
        assert (bench.names("rejected"), bench.names("work")) == (["a.txt", "a.txt.reason.json"], [])
        assert bench.work.active == set()
        return
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


def test_file_for_whose_contract_the_disk_has_no_room_waits_in_the_inbox(bench: Bench) -> None:
    bench.drop("a.txt", CONTENT)

    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.planner, "plan", full)
        assert bench.run(bench.start("a.txt")) == []
    assert [(odd.name, odd.reason) for odd in bench.odd] == [("a.txt", Reason.NO_ROOM)]
    assert (bench.names("inbox"), bench.names("work"), bench.work.active) == (["a.txt"], [], set())
    assert bench.run(bench.start("a.txt"))[-1].entry.rows_published == 5
