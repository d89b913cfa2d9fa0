"""Backups of a home without a line: what is in them, and every archive and place that a restore refuses."""

import dataclasses
import errno
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from headrace.errors import AlreadyRunning, BackupRefused, HeadraceError, SystemRefused, WrongUse
from headrace.runtime import backup_manifest, restore
from headrace.runtime.backup import write_backup
from headrace.runtime.home import locked_home
from headrace.runtime.restore import check_whole, restore_backup
from headrace.settings import Settings

Entries = list[tuple[tarfile.TarInfo, bytes]]
SECRET = "a-password-of-the-pipeline"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A stopped home with a file of each kind."""
    settings = Settings(home=tmp_path / "home")
    paths = settings.paths()
    for path, content in (
        (paths.kafka / "data" / "orders.raw-0" / "0.log", b"\x00" * 5_000 + b"records"),
        (paths.warehouse / "data" / "store" / "1" / "data.bin", bytes(range(256)) * 9),
        (paths.contracts / "orders.odcs.yaml", b"id: orders\n"),
        (paths.done / "orders" / "Zürich\n.csv", b"id\n1\n"),
        (paths.done / "orders" / os.fsdecode(b"no-utf8-\xff.csv"), b"id\n2\n"),
        (paths.pipeline_password_file, SECRET.encode()),
        (paths.logs / "judge.log", b"words"),
        (paths.home / "up.out", b"words"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (paths.inbox / "empty").mkdir(parents=True)
    os.utime(paths.contracts / "orders.odcs.yaml", ns=(1, 1_700_000_000_123_456_789))
    (paths.done / "orders" / "Zürich\n.csv").chmod(0o640)
    (paths.warehouse / "data" / "orders").symlink_to("store/1")
    return settings


def told_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return what a home holds: permissions, times, contents and links, by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.split("/", maxsplit=1)[0] in {"run", "logs", "up.out"}:
            continue
        seen = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[name] = (seen.st_mode, seen.st_mtime_ns if path.is_file() else 0, content)
    return found


def test_restored_home_is_the_backed_up_one_to_permissions_times_and_links(home: Settings, tmp_path: Path) -> None:
    written = write_backup(home, tmp_path)
    other = Settings(home=tmp_path / "other").paths()
    head = restore_backup(other, written.path)
    assert told_of(other.home) == told_of(home.home)
    assert len(told_of(other.home)) > 12
    assert (head.files, written.files, written.passed_over) == (5, 5, [])
    assert not (other.home / restore.STAGING).exists()
    check_whole(other)


def test_backup_holds_no_password_no_log_and_is_the_owners_alone(home: Settings, tmp_path: Path) -> None:
    written = write_backup(home, tmp_path / "b.tar.gz")
    plain = gzip.decompress(written.path.read_bytes())
    assert SECRET.encode() not in plain
    assert b"words" not in plain
    assert written.path.stat().st_mode & 0o777 == 0o600


def test_link_out_of_the_tables_is_passed_over_and_told(home: Settings, tmp_path: Path) -> None:
    (home.paths().warehouse / "away").symlink_to("/etc")
    (home.paths().done / "orders" / "near").symlink_to("Zürich\n.csv")
    written = write_backup(home, tmp_path / "b.tar.gz")
    assert sorted(written.passed_over) == ["done/orders/near", "warehouse/away"]


def test_backup_replaces_no_file_and_needs_a_home_that_nobody_runs_on(home: Settings, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(WrongUse, match="is there already"):
        write_backup(home, taken)
    with pytest.raises(WrongUse, match="no home to back up"):
        write_backup(Settings(home=tmp_path / "nothing"), tmp_path / "b.tar.gz")
    with locked_home(home.paths()), pytest.raises(AlreadyRunning, match=str(os.getpid())):
        write_backup(home, tmp_path / "b.tar.gz")
    assert taken.read_text() == "mine"
    assert not (tmp_path / "b.tar.gz").exists()


def test_disk_that_knows_no_second_name_of_a_file_gets_the_backup_and_replaces_nothing(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(target))

    monkeypatch.setattr(os, "link", refused)
    assert write_backup(home, tmp_path / "a.tar.gz").path.exists()
    came = tmp_path / "b.tar.gz"
    with pytest.raises(WrongUse, match="came meanwhile"):
        write_backup(home, came, lambda _done, _size: came.touch())
    assert came.read_bytes() == b""


def test_home_is_backed_up_and_restored_where_the_embedded_warehouse_is_not_installed(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    with_it = write_backup(home, tmp_path / "with.tar.gz").path
    monkeypatch.setattr(metadata, "version", absent)
    without = write_backup(home, tmp_path / "without.tar.gz").path
    for number, archive in enumerate((with_it, without)):
        restore_backup(Settings(home=tmp_path / f"to-{number}").paths(), archive)
        assert (tmp_path / f"to-{number}" / "contracts").is_dir()


def test_file_that_changes_while_it_is_copied_leaves_no_backup(home: Settings, tmp_path: Path) -> None:
    def grow(_done: int, _size: int) -> None:
        with (home.paths().warehouse / "data" / "store" / "1" / "data.bin").open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(SystemRefused, match=r"data\.bin was changed while it was copied"):
        write_backup(home, tmp_path / "b.tar.gz", grow)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_full_disk_leaves_no_backup(home: Settings, tmp_path: Path) -> None:
    def fill(_done: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_backup(home, tmp_path / "b.tar.gz", fill)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_no_room_for_a_restore_is_said_before_anything_is_written(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    monkeypatch.setattr(restore, "_SPARE_BYTES", 2**60)
    refused(archive, tmp_path / "other", SystemRefused, "has room for")


def test_home_that_is_not_empty_is_refused_and_stays(home: Settings, tmp_path: Path) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    before = told_of(home.home)
    with pytest.raises(BackupRefused, match="is not empty"):
        restore_backup(home.paths(), archive)
    assert told_of(home.home) == before


def test_restore_that_was_broken_off_is_said_to_the_next_and_to_up(home: Settings, tmp_path: Path) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    other = Settings(home=tmp_path / "other").paths()
    (other.home / restore.STAGING).mkdir(parents=True)
    with pytest.raises(SystemRefused, match="was broken off"):
        restore_backup(other, archive)
    with pytest.raises(SystemRefused, match="was broken off"):
        check_whole(other)


def test_changed_byte_of_an_archive_is_found_or_changes_nothing(home: Settings, tmp_path: Path) -> None:
    """Some bits of a compressed stream say the same in two ways, as gzip's own head says nothing of the content."""
    archive, whole = write_backup(home, tmp_path / "b.tar.gz").path, told_of(home.home)
    good, found = archive.read_bytes(), 0
    for place in [*range(0, len(good), 7), len(good) - 1]:
        archive.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        other = Settings(home=tmp_path / f"other-{place}").paths()
        try:
            restore_backup(other, archive)
        except BackupRefused as error:
            found += "foreign or was changed" in str(error)
        else:
            assert told_of(other.home) == whole
    assert found > 100


def test_archive_that_ends_early_is_refused_wherever_it_ends(home: Settings, tmp_path: Path) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    good = archive.read_bytes()
    for length in (0, 5, 40, len(good) // 2, len(good) - 9, len(good) - 1):
        archive.write_bytes(good[:length])
        refused(archive, tmp_path / "other", BackupRefused, "foreign or was changed")


def refused(archive: Path, target: Path, kind: type[HeadraceError], says: str) -> None:
    """Restore into a new home: it must be refused, and nothing be left."""
    with pytest.raises(kind, match=says):
        restore_backup(Settings(home=target).paths(), archive)
    assert not target.exists()


def rewritten(archive: Path, change: Callable[[Entries], None]) -> Path:
    """Write an archive anew with other entries, as somebody could who knows the format."""
    with tarfile.open(archive) as tar:
        entries = [(entry, (stream.read() if (stream := tar.extractfile(entry)) else b"")) for entry in tar]
    change(entries)
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive


def entry_of(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


FOREIGN = {
    "a way out": (entry_of("../out"), b"x"),
    "a way out from within": (entry_of("done/../../out"), b"x"),
    "a place from the root": (entry_of("/etc/out"), b"x"),
    "a place that is no home's": (entry_of("run/pipeline.password"), b"x"),
    "a link": (entry_of("done/link", tarfile.SYMTYPE, "/etc"), b""),
    "a hard link": (entry_of("done/link", tarfile.LNKTYPE, "contracts/orders.odcs.yaml"), b""),
    "a device": (entry_of("done/null", tarfile.CHRTYPE), b""),
    "a second file of a name": (entry_of("contracts/orders.odcs.yaml"), b"id: orders\n"),
    "a file below a file": (entry_of("contracts/orders.odcs.yaml/x"), b""),
    "a file that nobody listed": (entry_of("done/new.csv"), b""),
    "more than it says": (entry_of("done/new.csv"), b"x" * 100_000),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_archive_with_a_foreign_entry_is_refused(home: Settings, tmp_path: Path, what: str) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    rewritten(archive, lambda entries: entries.insert(len(entries) - 1, FOREIGN[what]))
    refused(archive, tmp_path / "other", BackupRefused, "foreign or was changed")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["/etc", "../../run", "../../../../etc"])
def test_archive_whose_list_has_a_link_out_of_the_tables_is_refused(
    home: Settings, tmp_path: Path, target: str
) -> None:
    def redirect(entries: Entries) -> None:
        entry, content = entries[-1]
        manifest = json.loads(content)
        assert manifest["links"] == {"warehouse/data/orders": "store/1"}
        manifest["links"]["warehouse/data/orders"] = target
        entries[-1] = (entry, json.dumps(manifest).encode())

    archive = rewritten(write_backup(home, tmp_path / "b.tar.gz").path, redirect)
    refused(archive, tmp_path / "other", BackupRefused, "out of the tables")


@pytest.mark.parametrize(("key", "value"), [("format", 2), ("format", 0), ("headrace", "999.0"), ("chdb", "999.1.2")])
def test_backup_of_a_later_version_is_refused_with_both_versions(
    home: Settings, tmp_path: Path, key: str, value: object
) -> None:
    def date(entries: Entries) -> None:
        entry, content = entries[0]
        entries[0] = (entry, json.dumps(json.loads(content) | {key: value}).encode())

    archive = rewritten(write_backup(home, tmp_path / "b.tar.gz").path, date)
    refused(archive, tmp_path / "other", BackupRefused, f"{value}.* (here is|reads)")


def test_backup_of_an_earlier_version_is_taken(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_backup(home, tmp_path / "b.tar.gz").path
    monkeypatch.setattr(backup_manifest, "__version__", "9.9.9")
    assert restore_backup(Settings(home=tmp_path / "other").paths(), archive).headrace != "9.9.9"


def test_every_field_of_the_head_is_in_the_archive(home: Settings, tmp_path: Path) -> None:
    away = home.model_copy(update={"kafka_bootstrap": "kafka.example:9092"})
    with tarfile.open(write_backup(away, tmp_path / "b.tar.gz").path) as tar:
        stream = tar.extractfile(backup_manifest.HEAD)
        assert stream is not None
        head = json.loads(stream.read())
    assert set(head) == {field.name for field in dataclasses.fields(backup_manifest.Head)}
    assert head["elsewhere"] == ["kafka"]
