"""Claiming: a file is taken out of the inbox by one rename, opened without following links, and hashed."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headrace.core.files import printable
from headrace.core.vocabulary import Reason
from headrace.producers.inbox import Oddity, opened_folder, unreadable
from headrace.producers.places import dropped_name, give_back, work_name
from headrace.producers.ready import Signature
from headrace.settings import Paths

_CHUNK = 1 << 20
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Opener = Callable[[str, int], int]


@dataclass(frozen=True)
class Gone:
    """The file was no longer there."""


@dataclass
class ClaimedFile:
    """A file in work/: ours alone by name, though a writer that still has it open can change it."""

    dataset: str
    name: str
    path: Path
    stream: BinaryIO
    signature: Signature
    sha256: str = ""

    def now(self) -> Signature:
        """Return how the open file looks at this moment."""
        return _signature(os.fstat(self.stream.fileno()))

    @property
    def deleted(self) -> bool:
        """Return True if it is no longer in work/; what is open can be read to its end all the same."""
        return not os.path.lexists(self.path)

    def close(self) -> None:
        """Close the file; it stays in work/."""
        self.stream.close()


def open_nofollow(name: str, folder: int) -> int:
    """Open a file for reading relative to a folder, never through a link, never waiting for a pipe's writer."""
    return os.open(name, _OPEN_FLAGS, dir_fd=folder)


def take(paths: Paths, dataset: str, name: str, *, opener: Opener = open_nofollow) -> ClaimedFile | Oddity | Gone:
    """Rename inbox/<dataset>/<name> into work/ and open it.

    The file is opened first, so that one that may not be read stays in the inbox; nothing is overwritten, and what is
    not a regular file is left where it is.
    """
    target = work_name(name)
    try:
        (paths.work / dataset).mkdir(parents=True, exist_ok=True)
        with opened_folder(paths.inbox / dataset) as source, opened_folder(paths.work / dataset) as work:
            with _opened(opener, name, source) as descriptor:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    return _no_file(dataset, name)
                os.rename(name, target, src_dir_fd=source, dst_dir_fd=work)
                if _inode(target, work) in {found.st_ino, None}:
                    return _claimed(dataset, paths.work / dataset / target, os.dup(descriptor))
            # Another file took the name between open and rename: it is the claimed one.
            return _claim_other(paths, dataset, name, target, opener=lambda: opener(target, work))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return Gone()
        if error.errno == errno.ELOOP:
            detail = (
                f"inbox/{dataset}/{printable(name)} is a symbolic link, which is not followed; copy the file itself"
            )
            return Oddity(dataset, name, Reason.NOT_A_FILE, detail)
        return unreadable(dataset, name, error)


def reopen(paths: Paths, dataset: str, work: str) -> ClaimedFile | Gone:
    """Open a file that was claimed before."""
    try:
        with opened_folder(paths.work / dataset) as folder:
            descriptor = open_nofollow(work, folder)
    except FileNotFoundError:
        return Gone()
    return _claimed(dataset, paths.work / dataset / work, descriptor)


def digest_steadily(claimed: ClaimedFile, *, attempts: int = 3) -> bool:
    """Set the file's SHA-256 and its signature; return False if somebody kept writing to it all the while. Blocks."""
    for _attempt in range(attempts):
        before = claimed.now()
        running = PrefixHash(claimed.stream)
        digest = running.up_to(before.size)
        if claimed.now() == before and running.length == before.size:
            claimed.signature, claimed.sha256 = before, digest
            return True
    return False


class PrefixHash:
    """The SHA-256 of a file's first bytes, going on from where it was; it reads beside the stream's own position."""

    def __init__(self, stream: BinaryIO) -> None:
        self._descriptor = stream.fileno()
        self._hash = hashlib.sha256()
        self.length = 0

    def up_to(self, end: int) -> str:
        """Return the digest of the bytes before `end` (of fewer, if the file is shorter)."""
        while self.length < end:
            chunk = os.pread(self._descriptor, min(_CHUNK, end - self.length), self.length)
            if not chunk:
                break
            self._hash.update(chunk)
            self.length += len(chunk)
        return self._hash.copy().hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, "" if it cannot be opened. Blocks."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _inode(name: str, folder: int) -> int | None:
    """Return a file's inode, None if somebody deleted it at once: then the open one is all there is."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None


@contextmanager
def _opened(opener: Opener, name: str, folder: int) -> Iterator[int]:
    descriptor = opener(name, folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _claim_other(
    paths: Paths, dataset: str, name: str, target: str, *, opener: Callable[[], int]
) -> ClaimedFile | Oddity:
    """Open what was moved to work/ in a file's stead; what cannot be taken goes back into the inbox."""
    moved = paths.work / dataset / target
    try:
        descriptor = opener()
    except OSError:
        give_back(moved, paths.inbox / dataset, name)
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        give_back(moved, paths.inbox / dataset, name)
        return _no_file(dataset, name)
    return _claimed(dataset, moved, descriptor)


def _no_file(dataset: str, name: str) -> Oddity:
    return Oddity(dataset, name, Reason.NOT_A_FILE, f"inbox/{dataset}/{printable(name)} is not a file")


def _claimed(dataset: str, path: Path, descriptor: int) -> ClaimedFile:
    found = os.fstat(descriptor)
    stream = os.fdopen(descriptor, "rb")
    return ClaimedFile(dataset, dropped_name(path.name), path, stream, _signature(found))


def _signature(found: os.stat_result) -> Signature:
    return Signature(found.st_ino, found.st_size, found.st_mtime_ns)
