"""The watcher's side of the folder: what is complete, what is odd, and that each is told once."""

import logging
import os
import socket
from pathlib import Path

import pytest

from headrace.core.vocabulary import Reason
from headrace.producers import places
from headrace.producers.claim import ClaimedFile, Gone, digest_steadily, take
from headrace.producers.inbox import Oddity, list_datasets, look
from headrace.producers.notes import note_message
from headrace.producers.places import give_back
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


def test_unfinished_and_hidden_names_and_folders_are_left_alone(
    paths: Paths, watcher: Watcher, ready: ReadyQueue, clock: Clock, messages: pytest.LogCaptureFixture
) -> None:
    for name in (".hidden.csv", "a.csv.tmp", "b.csv.part", ".~lock.c.csv#", "d.csv.crdownload"):
        (paths.inbox / "orders" / name).write_text("id\n1\n")
    (paths.inbox / "orders" / "folder.csv").mkdir()
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
        ("orders", "link.csv", Reason.NOT_A_FILE),
        ("orders", "pipe.csv", Reason.NOT_A_FILE),
        ("orders", "socket.csv", Reason.NOT_A_FILE),
    ]
    assert messages.messages == ["not a file of a dataset"] * 7
    assert popped(ready) == ["good.csv"]


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


def test_claim_leaves_a_file_it_may_not_open_in_the_inbox(paths: Paths) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("id\n1\n")

    def refused(_name: str, _folder: int) -> int:
        raise PermissionError(13, "Permission denied")

    found = take(paths, "orders", "a.csv", opener=refused)
    assert isinstance(found, Oddity)
    assert found.reason is Reason.UNREADABLE
    assert "read permission" in found.detail
    assert file.exists()


def test_claim_does_not_follow_a_link_that_took_the_files_place(paths: Paths, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("outside")
    (paths.inbox / "orders" / "a.csv").symlink_to(secret)
    found = take(paths, "orders", "a.csv")
    assert isinstance(found, Oddity)
    assert found.reason is Reason.NOT_A_FILE
    assert secret.read_text() == "outside"


def test_claim_does_not_leave_the_inbox_through_a_linked_folder(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text("outside")
    (paths.inbox / "linked").symlink_to(tmp_path / "elsewhere")
    assert isinstance(take(paths, "linked", "a.csv"), Oddity | Gone)
    assert look(paths.inbox / "linked", "a.csv") is None
    assert (tmp_path / "elsewhere" / "a.csv").exists()


def test_claim_of_a_pipe_does_not_wait_for_its_writer(paths: Paths) -> None:
    os.mkfifo(paths.inbox / "orders" / "a.csv")
    assert isinstance(take(paths, "orders", "a.csv"), Oddity)


def test_claim_of_a_vanished_file_says_so(paths: Paths) -> None:
    assert isinstance(take(paths, "orders", "a.csv"), Gone)


def test_claim_takes_the_file_that_got_the_name_last(paths: Paths) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("first")

    def swapped(name: str, folder: int) -> int:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
        if file.exists():
            file.with_name(".new").write_text("second")
            file.with_name(".new").replace(file)
        return descriptor

    found = take(paths, "orders", "a.csv", opener=swapped)
    assert isinstance(found, ClaimedFile)
    with found.stream:
        assert found.stream.read() == b"second"


@pytest.mark.parametrize("name", ["a\nb.csv", "ä" * 120 + ".csv", "-rf.csv", "with space.csv", "\udcff.csv"])
def test_claim_keeps_any_name_safe_and_its_suffix(paths: Paths, name: str) -> None:
    (paths.inbox / "orders" / name).write_text("id\n1\n")
    found = taken(paths, name)
    with found.stream:
        assert digest_steadily(found)
    assert found.path.name.isprintable()
    assert len(os.fsencode(found.path.name)) <= 255
    assert found.name.endswith(".csv")


def test_two_files_of_one_name_claimed_one_after_the_other_both_stay(paths: Paths) -> None:
    contents = []
    for content in ("one", "two"):
        (paths.inbox / "orders" / "a.csv").write_text(content)
        taken(paths, "a.csv").close()
    contents = sorted(file.read_text() for file in (paths.work / "orders").iterdir())
    assert contents == ["one", "two"]


def test_file_given_back_does_not_overwrite_one_that_came_meanwhile(paths: Paths) -> None:
    (paths.inbox / "orders" / "a.csv").write_text("first")
    claimed = taken(paths, "a.csv")
    claimed.close()
    (paths.inbox / "orders" / "a.csv").write_text("second")
    where = give_back(claimed.path, paths.inbox / "orders", claimed.name)
    assert where is not None
    assert where.name == "a~2.csv"
    assert where.read_text() == "first"
    assert (paths.inbox / "orders" / "a.csv").read_text() == "second"
    assert not claimed.path.exists()


def test_giving_back_what_is_gone_is_no_fault(paths: Paths) -> None:
    assert give_back(paths.work / "orders" / "gone.csv", paths.inbox / "orders", "a.csv") is None
    assert list((paths.inbox / "orders").iterdir()) == []


def test_giving_back_replaces_nothing_where_the_system_has_no_such_rename(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_renameat2", lambda: None)
    test_file_given_back_does_not_overwrite_one_that_came_meanwhile(paths)
    assert give_back(paths.work / "orders" / "gone.csv", paths.inbox / "orders", "b.csv") is None
    assert sorted(file.name for file in (paths.inbox / "orders").iterdir()) == ["a.csv", "a~2.csv"]


@pytest.mark.parametrize("second", ["unreadable", "a pipe"])
def test_claim_gives_back_what_took_the_files_place_and_cannot_be_taken(paths: Paths, second: str) -> None:
    file = paths.inbox / "orders" / "a.csv"
    file.write_text("first")
    opened: list[int] = []

    def swapped(name: str, folder: int) -> int:
        if opened and second == "unreadable":
            raise PermissionError(13, "Permission denied")
        opened.append(os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder))
        if len(opened) == 1:
            other = file.with_name(".new")
            other.write_text("second") if second == "unreadable" else os.mkfifo(other)
            other.replace(file)
        return opened[-1]

    found = take(paths, "orders", "a.csv", opener=swapped)
    assert isinstance(found, Oddity)
    assert found.reason is (Reason.UNREADABLE if second == "unreadable" else Reason.NOT_A_FILE)
    assert [path.name for path in (paths.inbox / "orders").iterdir()] == ["a.csv"]
    assert list((paths.work / "orders").iterdir()) == []


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
