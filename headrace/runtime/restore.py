"""A home from a backup: nothing of it is in place before every byte was compared with the digests.

The archive is not believed: it may hold only plain files at places of a home, at most as many bytes as it says, and
links among the tables. What is unpacked lies in HOME/.restoring until all of it is proved.
"""

import contextlib
import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import AlreadyRunning, BackupRefused, SystemRefused
from headrace.runtime.backup import Hashing, Told
from headrace.runtime.backup_manifest import HEAD, MANIFEST, Head, Manifest, changed, check_name, head_of
from headrace.runtime.home import locked_home
from headrace.settings import Paths

STAGING = ".restoring"
_DOCUMENT_BYTES = 512 * 2**20
_SPARE_BYTES = 64 * 2**20
_CHUNK = 2**20


def restore_backup(paths: Paths, archive: Path, told: Told = lambda _done, _all: None) -> Head:
    """Make the home of a backup at a place where there is none yet, and return the backup's head.

    Raises BackupRefused for an archive that is foreign, changed or of a later version, and for a home that is not
    empty; SystemRefused if there is no room. In all these cases the home is left as it was.
    """
    _check_empty(paths)
    with _opened(archive) as (tar, stream):
        head = head_of(_document(tar, HEAD))
        head.check()
        new = not paths.home.exists()
        paths.home.mkdir(parents=True, exist_ok=True)
        try:
            _check_room(paths.home, head.size)
            with locked_home(paths):
                _unpack(paths.home, tar, stream, head, told)
        except AlreadyRunning:
            raise
        except BaseException:
            _leave_as_it_was(paths, new=new)
            raise
    return head


def check_whole(paths: Paths) -> None:
    """Raise SystemRefused for a home in which a restore was broken off."""
    if (paths.home / STAGING).exists():
        raise SystemRefused(
            f"a restore into {paths.home} was broken off", hint=f"rm -r {paths.home}; then headrace restore FILE"
        )


def _check_empty(paths: Paths) -> None:
    check_whole(paths)
    there = sorted(entry.name for entry in paths.home.iterdir()) if paths.home.exists() else []
    if there:
        shown = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        raise BackupRefused(
            f"the home {paths.home} is not empty ({shown})", hint="HEADRACE_HOME=FOLDER names one that is empty or new"
        )


def _check_room(home: Path, size: int) -> None:
    free = shutil.disk_usage(home).free
    if size + _SPARE_BYTES > free:
        raise SystemRefused(
            f"{home} has room for {free / 1e9:.1f} GB; the backup needs {size / 1e9:.1f} GB",
            hint="free space, or name another home by HEADRACE_HOME",
        )


def _leave_as_it_was(paths: Paths, *, new: bool) -> None:
    for entry in (paths.home / STAGING, paths.run):
        shutil.rmtree(entry, ignore_errors=True)
    if new:
        with contextlib.suppress(OSError):
            paths.home.rmdir()


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, gzip.GzipFile]]:
    """Open an archive; what is no archive, or ends early, is a BackupRefused."""
    try:
        # Through GzipFile, read to its end: tarfile's own streams do not look at the check sum there.
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar:
            yield tar, stream
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:  # a name that no longer is UTF-8
        raise changed(str(error)) from error
    except OSError as error:
        if error.errno is None:  # gzip: no gzip file, or a check sum that is wrong
            raise changed(str(error)) from error
        raise


def _document(tar: tarfile.TarFile, name: str) -> bytes:
    entry = tar.next()
    if entry is None or entry.name != name:
        raise changed(f"{name} is not where it should be")
    return _content(tar, entry)


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(entry) if entry.isreg() and entry.size <= _DOCUMENT_BYTES else None
    if stream is None:
        raise changed(f"{entry.name} is no plain file")
    return stream.read()


def _unpack(home: Path, tar: tarfile.TarFile, stream: gzip.GzipFile, head: Head, told: Told) -> None:
    """Unpack beside, prove, and move into place."""
    staging = home / STAGING
    staging.mkdir(mode=0o700)
    digests: dict[str, str] = {}
    done = 0
    while (entry := tar.next()) is not None and entry.name != MANIFEST:
        if entry.name in digests or not entry.isreg() or entry.issparse():
            raise changed(f'"{entry.name}" is no plain file, or is there twice')
        done += entry.size
        if done > head.size:
            raise changed("there is more in it than it says")
        digests[entry.name] = _extract(tar, entry, staging / check_name(entry.name))
        told(done, head.size)
    if entry is None:
        raise changed(f"it ends before {MANIFEST}")
    manifest = Manifest.from_bytes(_content(tar, entry))
    if tar.next() is not None:
        raise changed(f"something follows {MANIFEST}")
    while rest := stream.read(_CHUNK):
        if rest.strip(b"\0"):
            raise changed(f"something follows {MANIFEST}")
    _prove(manifest, digests, head)
    _finish(staging, manifest)
    for place in sorted(staging.iterdir()):
        place.rename(home / place.name)
    staging.rmdir()


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> str:
    """Write one file and return its digest. There are no links below the staging folder yet, so it stays in there."""
    stream = tar.extractfile(entry)
    if stream is None:
        raise changed(f"{entry.name} is no plain file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            reader = Hashing(stream)  # type: ignore[arg-type]
            while content := reader.read(_CHUNK):
                target.write(content)
    except (FileExistsError, NotADirectoryError) as error:
        raise changed(f'"{entry.name}" is where another file is') from error
    return reader.digest.hexdigest()


def _prove(manifest: Manifest, digests: dict[str, str], head: Head) -> None:
    said = {name: entry.sha256 for name, entry in manifest.files.items()}
    if len(said) != head.files:
        raise changed(f"it has {len(said)} files and says {head.files}")
    for name in sorted({*said, *digests}):
        if said.get(name) != digests.get(name):
            raise changed(f'"{name}" is not the file that was backed up')


def _finish(staging: Path, manifest: Manifest) -> None:
    """Give folders, links, permissions and times."""
    for name in manifest.folders:
        (staging / name).mkdir(parents=True, exist_ok=True)
    for name, entry in manifest.files.items():
        (staging / name).chmod(entry.mode & 0o777)
        os.utime(staging / name, ns=(entry.mtime_ns, entry.mtime_ns))
    for name, target in manifest.links.items():
        (staging / name).symlink_to(target)
    for name, mode in manifest.folders.items():
        (staging / name).chmod(mode & 0o777)
