"""The watcher's own disk is full: the ledger goes on, files that need no room come in, and the others wait and follow.

As root the home is a small tmpfs, filled to the last byte and inode (real ENOSPC); elsewhere RLIMIT_FSIZE of 0 keeps
the watcher from writing any file (EFBIG), which it treats alike. A failure says which.
"""

import os
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.schemas.ledger import FileEntry
from headrace.schemas.topics import SYSTEM_TOPICS
from headrace.testing.stack import EmbeddedStack
from headrace.testing.watcher import OwnWatcher
from headrace.transport.kafka import Topics

pytestmark = pytest.mark.stack
CONTENT = "id,name\n1,Ann\n2,Ben\n"
LATER = "id,name\n3,Cal\n"
WHILE_FULL = {"later.csv": "published", "empty.csv": "rejected", "first.csv": "seen"}


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Give a folder a disk of 4 MiB if we may, and say how it will be made full."""
    folder.mkdir()
    if os.geteuid() != 0:
        yield "RLIMIT_FSIZE"
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "tmpfs", str(folder)], check=True)
    try:
        yield "tmpfs"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_bytes(folder: Path) -> None:
    with (folder / "bytes").open("wb", buffering=0) as stream:
        while stream.write(bytes(4_096)):
            pass


def fill_inodes(folder: Path) -> None:
    for number in range(1_000):
        (folder / str(number)).touch()


@contextmanager
def full(home: OwnWatcher, how: str) -> Iterator[None]:
    if how == "RLIMIT_FSIZE":
        pid = home.watcher.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        return
    fillers = home.paths.home / "fillers"
    fillers.mkdir()
    for fill in (fill_bytes, fill_inodes):
        with pytest.raises(OSError, match="No space left"):
            fill(fillers)
    try:
        yield
    finally:
        for filler in fillers.iterdir():
            filler.unlink()


@pytest.fixture
def home(stack: EmbeddedStack, tmp_path: Path) -> Iterator[tuple[OwnWatcher, str]]:
    Topics(stack.settings.kafka_client()).ensure(SYSTEM_TOPICS)
    with small_disk(tmp_path / "home") as how:
        found = OwnWatcher(stack, tmp_path / "home", "crowded")
        try:
            yield found, how
        finally:
            found.close()


def states(entries: list[FileEntry]) -> dict[str, str]:
    return {entry.name: entry.state.value for entry in entries}


@pytest.mark.timeout(180)
def test_full_disk_of_the_home_holds_up_only_what_needs_room_and_loses_nothing(
    home: tuple[OwnWatcher, str],
) -> None:
    watched, how = home
    watched.drop("before.csv", CONTENT)
    watched.wait_for_states(before="published")
    newcomers = watched.paths.inbox / "newcomers"
    newcomers.mkdir()
    for folder, name, content in (
        (watched.inbox, "later.csv", LATER),
        (watched.inbox, "empty.csv", ""),
        (newcomers, "first.csv", CONTENT),
    ):
        (folder / f".{name}").write_text(content)
    with full(watched, how):
        # No room for: a folder in work/, a contract, a note in rejected/. Room for: a rename, and all of Kafka.
        for folder, name in ((newcomers, "first.csv"), (watched.inbox, "empty.csv"), (watched.inbox, "later.csv")):
            (folder / f".{name}").rename(folder / name)
        entries = watched.wait(lambda found: WHILE_FULL.items() <= states(found).items())
        assert {entry.reason for entry in entries if entry.name == "first.csv"} == {"no_room"}
        assert (newcomers / "first.csv").exists(), f"{how}: it waits in the inbox"
    watched.wait(lambda found: states(found).get("first.csv") == "published", 90)
    assert watched.watcher.exit_code() is None
    after = {entry.name: entry for entry in watched.entries() if entry.sha256}
    assert {name: entry.rows_published for name, entry in after.items()} == {
        "before.csv": 2,
        "later.csv": 1,
        "empty.csv": 0,
        "first.csv": 2,
    }
    watched.wait(lambda _found: all((watched.paths.home / entry.path).exists() for entry in after.values()))
    assert (watched.paths.home / f"{after['empty.csv'].path}.reason.json").exists()
    assert watched.raw_rows() == Counter(
        {(after[name].file, row): 1 for name, rows in (("before.csv", 2), ("later.csv", 1)) for row in range(rows)}
    )
    assert list(watched.paths.work.rglob("*.csv")) == []
