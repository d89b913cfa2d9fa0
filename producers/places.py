"""Where a file lies during its life: inbox, work, done, rejected. Moves never overwrite another file."""

import ctypes
import errno
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from headrace.core.files import printable
from headrace.settings import Paths

_NAME_BYTES = 255
_TICKET_DIGITS = 20
# renameat2's AT_FDCWD and RENAME_NOREPLACE, and how kernels and file systems say that they have no such thing.
_HERE, _NO_REPLACE = -100, 1
_NO_SUCH_RENAME = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def fitted(prefix: str, name: str, *, room: int = _NAME_BYTES) -> str:
    """Return prefix + name as a file name the system takes; a long name loses its middle and keeps its suffix.

    >>> fitted("0123-", "a.csv"), len(fitted("0123-", "x" * 300 + ".csv")), fitted("0123-", "x" * 300 + ".csv")[-6:]
    ('0123-a.csv', 255, 'xx.csv')
    """
    whole = (prefix + name).encode()
    if len(whole) <= room:
        return prefix + name
    tail = name.encode()[-32:]
    return (whole[: room - len(tail)]).decode(errors="ignore") + tail.decode(errors="ignore")


def work_name(name: str) -> str:
    """Return a new unique name in work/ for a file of the inbox; names sort by the time of the claim."""
    ticket = f"{time.time_ns():016x}{secrets.token_hex(2)}"
    return fitted(f"{ticket}-", printable(name))


def dropped_name(work: str) -> str:
    """Return the name under which a file in work/ was dropped.

    >>> dropped_name("0123456789abcdef0123-a-b.csv")
    'a-b.csv'
    """
    return work[_TICKET_DIGITS + 1 :]


def done_name(sha256: str, name: str) -> str:
    """Return a published file's name in done/<dataset>/."""
    return fitted(f"{sha256[:12]}-", name)


def relative(paths: Paths, path: Path) -> str:
    """Return a path as the ledger holds it: relative to the home."""
    return str(path.relative_to(paths.home))


def rejected_path(paths: Paths, dataset: str, sha256: str, name: str, *, promised: Collection[Path] = ()) -> Path:
    """Return where a rejected file goes: its own name, or with its digest if taken. Room is left for .reason.json."""
    folder = paths.rejected / dataset
    plain = folder / fitted("", name, room=_NAME_BYTES - 20)
    free = not plain.exists() and plain not in promised
    return plain if free else folder / fitted(f"{sha256[:12]}-", name, room=_NAME_BYTES - 20)


def move(source: Path, target: Path) -> bool:
    """Move a file within the home, replacing an equal copy; a source that is gone was moved before if the target is.

    Returns False if neither is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise
        return target.exists()
    return True


def give_back(source: Path, inbox_folder: Path, name: str) -> Path | None:
    """Put a file back into the inbox under its name, or NAME~2, ~3 ... if that is taken.

    Returns where it is now, None if it is gone.
    """
    inbox_folder.mkdir(parents=True, exist_ok=True)
    try:
        return move_beside(source, inbox_folder, name)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise
        return None


def move_beside(source: Path, folder: Path, name: str) -> Path:
    """Move a file into a folder under a name, or NAME~2, ~3 ... if that is taken; return where it is now.

    However many do it at once, nobody's file is replaced, and the folder's watcher sees a file that was moved in.
    """
    for number in range(1, 10_000):
        target = folder / (name if number == 1 else numbered(name, number))
        try:
            _move_to_free(source, target)
        except FileExistsError:
            continue
        return target
    raise FileExistsError(f"{folder / name}: 10,000 files of this name wait")


def _renameat2() -> Callable[..., int] | None:
    found: Callable[..., int] | None = None
    if sys.platform == "linux":
        found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


def _move_to_free(source: Path, target: Path) -> None:
    """Rename, or raise FileExistsError. A link would keep names apart too, but watchers take it for an open file."""
    rename = _renameat2()
    if rename is not None:
        if rename(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _NO_REPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _NO_SUCH_RENAME:
            raise OSError(code, os.strerror(code), str(source), None, str(target))
    # Where the system cannot say "unless it is there", an empty file of ours holds the name until the rename.
    held = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.replace(source, target)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)


def numbered(name: str, number: int) -> str:
    """Return a file name with a number before its suffixes.

    >>> numbered("orders.csv.gz", 2)
    'orders~2.csv.gz'
    """
    stem, dot, suffixes = name.partition(".")
    return fitted("", f"{stem}~{number}{dot}{suffixes}")
