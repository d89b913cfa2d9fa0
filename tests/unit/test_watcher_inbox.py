"""The watcher's side of the folder: what is complete, what is odd, and that each is told once."""

import logging
import os
import socket
from pathlib import Path

import pytest

from headrace.core.vocabulary import FileState, Reason
from headrace.producers.claim import ClaimedFile, digest_steadily, take
from headrace.producers.inbox import Oddity, list_datasets
from headrace.producers.notes import note_message
from headrace.producers.ready import ReadyTracker, Signature
from headrace.producers.ready_queue import Note, ReadyFile, ReadyQueue
from headrace.producers.watcher import Watcher
from headrace.settings import Paths


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    (found.inbox / "orders").mkdir(parents=True)
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ready() -> ReadyQueue:
    return ReadyQueue()


@pytest.fixture
def watcher(paths: Paths, clock: Clock, ready: ReadyQueue) -> Watcher:
    return Watcher(paths, lambda _dataset: ready, stable_secs=1.0, rescan_secs=2.0, monotonic=clock)


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="headrace")
    return caplog


def popped(ready: ReadyQueue) -> list[str]:
    found: list[str] = []
    while (file := ready.pop()) is not None:
        found.append(file.name)
    return found


def taken(paths: Paths, name: str) -> ClaimedFile:
    found = take(paths, "orders", name)
    assert isinstance(found, ClaimedFile)
    return found


def test_file_is_complete_when_size_and_time_stayed_the_same(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock
) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("id\n1\n")
    watcher.rescan()
    clock.now += 0.9
    watcher.step(0)
    assert popped(ready) == []
    clock.now += 0.2
    watcher.step(0)
    assert popped(ready) == ["a.csv"]


def test_file_that_still_grows_is_waited_for(paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock) -> None:
    file = paths.inbox / "orders" / "a.csv"
    for size in range(1, 6):
        file.write_text("x" * size)
        watcher.rescan()
        clock.now += 0.8
    assert popped(ready) == []
    clock.now += 0.3
    watcher.step(0)
    assert popped(ready) == ["a.csv"]


def test_close_event_makes_a_file_complete_at_once(paths: Paths, watcher: Watcher, ready: ReadyQueue) -> None:
    (paths.inbox / "orders" / "a.csv").write_text("id\n1\n")
    watcher.closed("orders", "a.csv")
    watcher.step(0)
    assert popped(ready) == ["a.csv"]


def test_a_lost_event_is_made_good_by_the_next_scan(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock
) -> None:
    watcher.step(0)
    (paths.inbox / "orders" / "a.csv").write_text("id\n1\n")
    clock.now += 2.1
    watcher.step(0)
    clock.now += 1.0
    watcher.step(0)
    assert popped(ready) == ["a.csv"]


def test_a_file_is_handed_over_once_however_often_it_is_seen(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock
) -> None:
    (paths.inbox / "orders" / "a.csv").write_text("id\n1\n")
    for _time in range(3):
        watcher.closed("orders", "a.csv")
        watcher.step(0)
        watcher.rescan()
        clock.now += 5
    assert popped(ready) == ["a.csv"]


def test_unfinished_and_hidden_names_are_left_alone(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock, messages: pytest.LogCaptureFixture
) -> None:
    for name in (".hidden.csv", "a.csv.tmp", "b.csv.part", ".~lock.c.csv#", "d.csv.crdownload"):
        (paths.inbox / "orders" / name).write_text("id\n1\n")
    (paths.inbox / "orders" / ".folder").mkdir()
    watcher.rescan()
    clock.now += 5
    watcher.step(0)
    assert (popped(ready), messages.messages) == ([], [])


def test_odd_things_are_told_once_with_a_reason_and_never_stop_the_scan(
    paths: Paths,
    watcher: Watcher,
    ready: ReadyQueue,
    clock: Clock,
    messages: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (paths.inbox / "Bad Name!").mkdir()
    (paths.inbox / "Bad Name!" / "x.csv").write_text("id\n1\n")
    (paths.inbox / "quality").mkdir()
    (paths.inbox / "loose.csv").write_text("id\n1\n")
    (paths.inbox / "other").symlink_to("/")
    (paths.inbox / "orders" / "link.csv").symlink_to("/etc/passwd")
    os.mkfifo(paths.inbox / "orders" / "pipe.csv")
    (paths.inbox / "orders" / "2024").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(paths.inbox / "orders")  # a socket's path may have 108 bytes
        server.bind("socket.csv")
        (paths.inbox / "orders" / "good.csv").write_text("id\n1\n")
        for _scan in range(3):
            watcher.rescan()
            clock.now += 5
        watcher.step(0)
    told = [(note.folder, note.name, note.oddity.reason) for note in ready.pop_notes() if note.oddity]
    assert sorted(told) == [
        ("", "Bad Name!", Reason.BAD_DATASET_NAME),
        ("", "loose.csv", Reason.NO_DATASET),
        ("", "other", Reason.NOT_A_FILE),
        ("", "quality", Reason.BAD_DATASET_NAME),
        ("orders", "2024", Reason.NOT_A_FILE),
        ("orders", "link.csv", Reason.NOT_A_FILE),
        ("orders", "pipe.csv", Reason.NOT_A_FILE),
        ("orders", "socket.csv", Reason.NOT_A_FILE),
    ]
    assert messages.messages == ["not a file of a dataset"] * 8
    assert popped(ready) == ["good.csv"]


def test_subfolder_is_told_until_it_is_moved_away(paths: Paths, watcher: Watcher, ready: ReadyQueue) -> None:
    folder = paths.inbox / "orders" / "2024"
    folder.mkdir()
    (folder / "a.csv").write_text("id\n1\n")
    watcher.rescan()
    (told,) = ready.pop_notes()
    assert told.oddity is not None
    assert told.oddity.detail == (
        "inbox/orders/2024 is a folder, and only files that lie in inbox/orders itself are taken; move its files there"
    )
    (folder / "a.csv").rename(paths.inbox / "orders" / "a.csv")
    folder.rmdir()
    watcher.rescan()
    (settled,) = ready.pop_notes()
    assert (settled.name, settled.oddity) == ("2024", None)


def test_folder_that_cannot_be_looked_into_is_told_and_what_it_holds_is_not_taken_for_gone(
    paths: Paths,
    watcher: Watcher,
    ready: ReadyQueue,
    clock: Clock,
    messages: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (paths.inbox / "other").mkdir()
    for dataset in ("orders", "other"):
        (paths.inbox / dataset / "a.csv").write_text("id\n1\n")
    watcher.rescan()
    with monkeypatch.context() as patch:
        opened = os.open

        def refused(path: str | Path, *arguments: int, **named: int) -> int:
            if path == paths.inbox / "orders":
                raise PermissionError(13, "Permission denied")
            return opened(path, *arguments, **named)

        patch.setattr(os, "open", refused)
        for _scan in range(2):
            watcher.rescan()
        (told,) = ready.pop_notes()
    assert told.oddity is not None
    assert (told.folder, told.name, told.oddity.reason) == ("", "orders", Reason.UNREADABLE)
    note = note_message(told, None)
    assert note is not None
    assert (note.entry.dataset, note.entry.state, note.entry.path) == ("orders", FileState.SEEN, "inbox/orders")
    clock.now += 5
    watcher.rescan()
    assert messages.messages == ["not a file of a dataset"]
    assert sorted(popped(ready)) == ["a.csv", "a.csv"]
    (settled,) = ready.pop_notes()
    assert (settled.name, settled.oddity) == ("orders", None)


def waits(watcher: Watcher) -> bool:
    return watcher.waits_for_inbox


def test_inbox_that_cannot_be_read_is_waited_for_and_what_it_holds_is_not_taken_for_gone(
    paths: Paths,
    watcher: Watcher,
    ready: ReadyQueue,
    clock: Clock,
    messages: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (paths.inbox / "orders" / "a.csv").write_text("id\n1\n")
    watcher.rescan()
    with monkeypatch.context() as patch:
        opened = os.open

        def refused(path: str | Path, *arguments: int, **named: int) -> int:
            if path == paths.inbox:
                raise PermissionError(13, "Permission denied")
            return opened(path, *arguments, **named)

        patch.setattr(os, "open", refused)
        for _scan in range(3):
            watcher.rescan()
        assert waits(watcher) is True
        assert messages.messages == ["stage waits"]
        told = getattr(messages.records[0], "headrace", {})
        assert (told["stage"], told["cause"]) == ("watcher", "inbox/ cannot be read: Permission denied")
        clock.now += 31
        watcher.rescan()
        assert messages.messages == ["stage waits"] * 2
    watcher.rescan()
    assert waits(watcher) is False
    assert (popped(ready), ready.pop_notes()) == (["a.csv"], [])
    assert messages.messages == ["stage waits"] * 2


def test_note_of_a_hostile_name_has_a_safe_key_and_printable_text() -> None:
    name = "../\x1b[31m\udcff\n"
    oddity = Oddity("", name, Reason.BAD_DATASET_NAME, "cannot be a dataset")
    note = note_message(Note("", name, oddity), None)
    assert note is not None
    assert note.key.startswith("_/")
    assert note.key[2:].isalnum()
    assert note.entry.name.isprintable()
    assert note.entry.dataset.isprintable()
    assert note_message(Note("", name, oddity), (oddity.reason.value, oddity.detail)) is None


def test_file_that_vanishes_before_it_is_complete_is_told(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock, messages: pytest.LogCaptureFixture
) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("id\n1\n")
    watcher.rescan()
    file.unlink()
    clock.now += 5
    watcher.step(0)
    assert (popped(ready), messages.messages) == ([], ["file vanished"])


def test_unreadable_file_waits_and_is_tried_again_when_its_permissions_change(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock
) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("id\n1\n")
    file.chmod(0o000)
    watcher.closed("orders", "a.csv")
    watcher.step(0)
    assert popped(ready) == ["a.csv"]
    ready.claimed(("orders", "a.csv"))
    watcher.oddity_found(Oddity("orders", "a.csv", Reason.UNREADABLE, "no permission"))
    for _scan in range(3):
        watcher.step(0)
        watcher.rescan()
        clock.now += 3
    assert popped(ready) == []
    file.chmod(0o644)
    watcher.rescan()
    clock.now += 1.1
    watcher.step(0)
    assert popped(ready) == ["a.csv"]
    assert [note.name for note in ready.pop_notes()] == ["a.csv"]


def test_datasets_take_turns_and_files_of_one_dataset_keep_their_order(ready: ReadyQueue) -> None:
    for number in range(3):
        ready.put(ReadyFile("big", f"{number}.csv", 0))
    ready.put(ReadyFile("small", "only.csv", 0))
    assert popped(ready) == ["0.csv", "only.csv", "1.csv", "2.csv"]


def test_tracker_forgets_what_it_handed_over() -> None:
    tracker = ReadyTracker(stable_secs=1.0)
    signature = Signature(1, 1, 1)
    tracker.look(("orders", "a.csv"), signature, now=0.0)
    assert tracker.look(("orders", "a.csv"), signature, now=1.0)
    assert tracker.next_due() is None
    assert not tracker.forget(("orders", "a.csv"))


def test_scan_of_an_inbox_without_folders_finds_nothing(tmp_path: Path) -> None:
    assert list_datasets(tmp_path) == ([], [])


def test_file_that_grows_in_done_comes_back_as_a_new_file(
    paths: Paths, watcher: Watcher, messages: pytest.LogCaptureFixture
) -> None:
    (paths.inbox / "orders" / "a.csv").write_text("id\n1\n")
    claimed = taken(paths, "a.csv")
    with claimed.stream:
        assert digest_steadily(claimed)
    done = paths.done / "orders" / "0123-a.csv"
    done.parent.mkdir(parents=True)
    claimed.path.rename(done)
    watcher.settled(done, claimed)
    watcher.step(0)
    with done.open("a") as stream:
        stream.write("2\n")
    watcher.rescan()
    assert messages.messages == ["file changed after its claim"]
    assert (paths.inbox / "orders" / "a.csv").read_text() == "id\n1\n2\n"
    assert not done.exists()
