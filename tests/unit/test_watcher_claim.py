"""Claims: a file is taken out of the inbox whole, once, and only if it is one; what is given back replaces nothing."""

import os
from pathlib import Path

import pytest

from headrace.core.vocabulary import Reason
from headrace.producers import places
from headrace.producers.claim import ClaimedFile, Gone, digest_steadily, take
from headrace.producers.inbox import Oddity, look
from headrace.producers.places import give_back
from headrace.settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    (found.inbox / "orders").mkdir(parents=True)
    return found


def taken(paths: Paths, name: str) -> ClaimedFile:
    found = take(paths, "orders", name)
    assert isinstance(found, ClaimedFile)
    return found


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
