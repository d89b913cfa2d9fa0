"""Where a file lies during its life: inbox, work, done, rejected. Moves never overwrite another file."""

import os
import secrets
import time
from collections.abc import Collection
from pathlib import Path

from headrace.core.files import printable
from headrace.settings import Paths

_NAME_BYTES = 255
_TICKET_DIGITS = 20


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


def move(source: Path, target: Path) -> None:
    """Move a file within the home, replacing an equal copy; a source that is gone was moved before if the target is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except FileNotFoundError:
        if not target.exists():
            raise


def give_back(source: Path, inbox_folder: Path, name: str) -> Path:
    """Put a file back into the inbox under its name, or NAME~2, ~3 ... if that is taken; return where it is now."""
    inbox_folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        target = inbox_folder / (name if number == 1 else numbered(name, number))
        try:
            # A link refuses to replace a file that came meanwhile; a rename would destroy it.
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            continue
        source.unlink()
        return target
    raise FileExistsError(f"{inbox_folder / name}: 10,000 files of this name wait")


def numbered(name: str, number: int) -> str:
    """Return a file name with a number before its suffixes.

    >>> numbered("orders.csv.gz", 2)
    'orders~2.csv.gz'
    """
    stem, dot, suffixes = name.partition(".")
    return fitted("", f"{stem}~{number}{dot}{suffixes}")
