"""The inbox as it is on disk: looked at without following a link, opening a pipe or leaving the folder."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.core.files import printable
from headrace.core.identity import dataset_name_problem
from headrace.core.vocabulary import Reason
from headrace.producers.ready import Signature

# Names that programs give to what they are still writing. They are left alone until they get their real name.
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".~lock")
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Oddity:
    """Something in the inbox that is no file of a dataset. `folder` is "" for what lies in the inbox itself."""

    folder: str
    name: str
    reason: Reason
    detail: str


def ignored(name: str) -> bool:
    """Return True for names that are never a finished file: hidden ones and those of unfinished downloads.

    >>> ignored(".orders.csv.x1.draft"), ignored("orders.csv.PART"), ignored("orders.csv")
    (True, True, False)
    """
    return name.startswith((".", "~$")) or name.lower().endswith(_UNFINISHED)


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Give a descriptor of a folder; raises OSError if it is a link or no folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def look(folder: Path, name: str) -> Signature | Oddity | None:
    """Return how a file looks now; what is odd about it; None if it is gone or ignored."""
    if ignored(name):
        return None
    try:
        with opened_folder(folder) as descriptor:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return None
        return Oddity(folder.name, name, Reason.UNREADABLE, _unreadable(folder.name, name, error))
    return _judge(folder.name, name, found)


def unreadable(folder: str, name: str, error: OSError) -> Oddity:
    """Return the note about a file that the system does not let us open or move."""
    if out_of_room(error):
        what = f"inbox/{folder}/{printable(name)} cannot be taken: {error.strerror}"
        return Oddity(
            folder, name, Reason.NO_ROOM, f"{what}; free some room on the disk of the home, it is tried again"
        )
    return Oddity(folder, name, Reason.UNREADABLE, _unreadable(folder, name, error))


def out_of_room(error: BaseException) -> bool:
    """Return True if the disk or a quota is full: that may pass, and nobody's file is to blame."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def list_datasets(inbox: Path) -> tuple[list[str], list[Oddity]]:
    """Return the dataset folders of the inbox, and everything in it that is not one."""
    datasets: list[str] = []
    odd: list[Oddity] = []
    with opened_folder(inbox) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            if ignored(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                problem = dataset_name_problem(printable(entry.name))
                if problem:
                    detail = f"{problem}; its files wait: rename the folder"
                    odd.append(Oddity("", entry.name, Reason.BAD_DATASET_NAME, detail))
                else:
                    datasets.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                odd.append(_loose(entry.name))
            else:
                odd.append(_not_a_file("", entry.name, entry.stat(follow_symlinks=False).st_mode))
    return sorted(datasets), odd


def list_names(inbox: Path, dataset: str) -> list[str] | Oddity:
    """Return the names in a dataset's folder, without looking at them; none if it is gone.

    A folder that cannot be looked into is an oddity of the inbox: its files wait.
    """
    try:
        with opened_folder(inbox / dataset) as descriptor:
            return sorted(name for name in os.listdir(descriptor) if not ignored(name))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return []
        detail = (
            f"inbox/{dataset} cannot be looked into: {error.strerror}; its files wait: give the pipeline's user "
            "permission to read, write and enter the folder, it is tried again"
        )
        return Oddity("", dataset, Reason.UNREADABLE, detail)


def _judge(folder: str, name: str, found: os.stat_result) -> Signature | Oddity:
    if not stat.S_ISREG(found.st_mode):
        return _not_a_file(folder, name, found.st_mode)
    return Signature(found.st_ino, found.st_size, found.st_mtime_ns)


def _loose(name: str) -> Oddity:
    shown = printable(name)
    detail = (
        f'file "{shown}" lies in inbox/ itself, and its folder would name its dataset; move it: inbox/DATASET/{shown}'
    )
    return Oddity("", name, Reason.NO_DATASET, detail)


def _not_a_file(folder: str, name: str, mode: int) -> Oddity:
    kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
    where = "/".join(part for part in ("inbox", folder, printable(name)) if part)
    if stat.S_ISDIR(mode):
        what = f"{where} is a folder, and only files that lie in inbox/{folder} itself are taken; move its files there"
        return Oddity(folder, name, Reason.NOT_A_FILE, what)
    return Oddity(folder, name, Reason.NOT_A_FILE, f"{where} is {kind}, which is not followed; copy the file itself")


def _unreadable(folder: str, name: str, error: OSError) -> str:
    where = f"inbox/{folder}/{printable(name)}"
    wanted = "read permission, and write permission on its folder"
    return f"{where} cannot be taken: {error.strerror}; give the pipeline's user {wanted}; it is tried again"
