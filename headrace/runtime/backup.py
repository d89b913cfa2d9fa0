"""A stopped home as one file: all that makes the line, with the digest of every file, written whole or not at all.

The home is held meanwhile, so no line can start on it. Kafka's folder, the tables, the ledger and the models are of
one moment then, which is what makes the copy consistent.
"""

import contextlib
import gzip
import hashlib
import io
import os
import shlex
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from headrace.core.files import printable
from headrace.embedded.services import external_services
from headrace.errors import SystemRefused, WrongUse
from headrace.runtime.backup_manifest import HEAD, KEPT, LEFT_OUT, MANIFEST, FileEntry, Head, Manifest, link_stays
from headrace.runtime.home import locked_home, process_of, read_report
from headrace.settings import Paths, Settings

Told = Callable[[int, int], None]
"""Is called with bytes done and bytes in all."""
# Segments and columns are compressed already; the quickest level takes the zeros out of Kafka's indexes.
_LEVEL = 1
_CHUNK = 2**20


@dataclass(frozen=True)
class Written:
    """What `write_backup` did. `passed_over` are links and the like, which a backup does not hold."""

    path: Path
    files: int
    bytes: int
    archive_bytes: int
    elsewhere: list[str]
    passed_over: list[str]


def write_backup(settings: Settings, target: Path, told: Told = lambda _done, _all: None) -> Written:
    """Write the home into a new file, and return what is in it. Blocks for as long as the home is large.

    Raises AlreadyRunning while a line runs on it, WrongUse for a target that is there, or a home with nothing in it,
    SystemRefused for a file that changes meanwhile. OSError (a full disk) leaves no file behind.
    """
    paths = settings.paths()
    if not any((paths.home / name).exists() for name in ("kafka", "warehouse", "contracts")):
        raise WrongUse(f"there is no home to back up at {paths.home}", hint="HEADRACE_HOME=FOLDER names it")
    path = file_for(target)
    with locked_home(paths):
        _check_nothing_runs_on(paths)
        return _write(settings, path, told)


def file_for(target: Path) -> Path:
    """Return the file to write, in a folder one named by the time; raises WrongUse where it cannot be written."""
    path = target / f"headrace-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
    if path.exists():
        raise WrongUse(f"{path} is there already", hint="give another name; a backup replaces nothing")
    if not path.parent.is_dir():
        raise WrongUse(f"there is no folder {path.parent}", hint=f"mkdir -p {shlex.quote(str(path.parent))}")
    return path


def _check_nothing_runs_on(paths: Paths) -> None:
    report = read_report(paths)
    for name, entry in (report["processes"] if report else {}).items():
        if entry["pid"] and process_of(entry["pid"], entry["created_at"]):
            raise WrongUse(
                f"{name} of a killed line still runs (pid {entry['pid']})", hint="headrace up, headrace down"
            )


def _write(settings: Settings, path: Path, told: Told) -> Written:
    home = settings.paths().home
    manifest, passed_over, found = Manifest(), list[str](), list[tuple[str, os.stat_result]]()
    for name, seen in _walk(home):
        if stat.S_ISDIR(seen.st_mode):
            manifest.folders[name] = stat.S_IMODE(seen.st_mode)
        elif stat.S_ISREG(seen.st_mode):
            found.append((name, seen))
        elif stat.S_ISLNK(seen.st_mode) and link_stays(name, link := os.readlink(home / name)):
            manifest.links[name] = link
        else:
            passed_over.append(name)
    size, elsewhere = sum(seen.st_size for _, seen in found), sorted(external_services(settings))
    head = Head.now(datetime.now(UTC).isoformat(timespec="seconds"), len(found), size, elsewhere)
    done = 0
    with _whole_or_not_at_all(path) as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_document(tar, HEAD, head)
        for name, seen in found:
            manifest.files[name] = _add_file(tar, home, name, seen)
            done += seen.st_size
            told(done, size)
        _add_document(tar, MANIFEST, manifest)
    return Written(path, len(found), size, path.stat().st_size, elsewhere, passed_over)


def _walk(home: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file, folder and link that a backup is asked for, by its path in the home, in order."""
    pending = [name for name in reversed(KEPT) if (home / name).exists()]
    while pending:
        name = pending.pop()
        seen = (home / name).lstat()
        yield name, seen
        if stat.S_ISDIR(seen.st_mode):
            inside = (f"{name}/{entry}" for entry in sorted(os.listdir(home / name), reverse=True))
            pending.extend(entry for entry in inside if entry not in LEFT_OUT)


@contextlib.contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[gzip.GzipFile]:
    """Give a stream whose file gets its name at the end, readable by its owner only; a failure leaves nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, filename="") as stream:
                yield stream
            file.flush()
            os.fsync(file.fileno())
        _name_it(draft, path)
    except FileExistsError as error:
        raise WrongUse(f"{path} came meanwhile", hint="give another name; a backup replaces nothing") from error
    finally:
        draft.unlink(missing_ok=True)


def _name_it(draft: Path, path: Path) -> None:
    """Give a finished file its name. Not by a rename: that would replace a file that came meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # exFAT and some network disks have no second names for a file
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)


def _add_document(tar: tarfile.TarFile, name: str, document: Head | Manifest) -> None:
    content = document.to_bytes()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, home: Path, name: str, seen: os.stat_result) -> FileEntry:
    """Add one file as it was seen; raises SystemRefused if it is another one now."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = seen.st_size, int(seen.st_mtime)
    try:
        with (home / name).open("rb") as stream:
            reader = Hashing(stream)
            tar.addfile(entry, reader)
            now = os.fstat(stream.fileno())
    except (FileNotFoundError, tarfile.ReadError) as error:
        raise _moved(name) from error
    except OSError as error:
        if error.args == ("unexpected end of data",):
            raise _moved(name) from error
        raise
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (seen.st_size, seen.st_mtime_ns, seen.st_ino):
        raise _moved(name)
    return FileEntry(seen.st_size, reader.digest.hexdigest(), stat.S_IMODE(seen.st_mode), seen.st_mtime_ns)


def _moved(name: str) -> SystemRefused:
    return SystemRefused(f"{printable(name)} was changed while it was copied", hint="let it be, and back up again")


class Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = _CHUNK) -> bytes:
        """Return the next bytes."""
        content = self._stream.read(size)
        self.digest.update(content)
        return content
