"""Files written whole or not at all."""

import fcntl
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace `path` by `content`: a reader sees the old bytes or the new ones, also after a kill.

    What is not `durable` does not wait for the disk, and may be empty after a power failure. Raises OSError as the
    operating system gives it (a full disk leaves the old content in place).
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock of an open file if nobody has it; the kernel frees it when its holders are gone."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def printable(name: str | bytes) -> str:
    r"""Return a file name as one line of printable text: control characters and broken bytes are escaped.

    >>> printable("a\nb.csv")
    'a\\nb.csv'
    """
    text = os.fsdecode(name)
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape", "surrogatepass").decode() for part in text
    )
