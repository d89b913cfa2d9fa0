"""Pages that a command writes for a person."""

from pathlib import Path

from headrace.core.files import write_atomically
from headrace.errors import WrongUse


def write_page(target: Path, content: bytes) -> None:
    """Write a page as a whole; raises WrongUse where it cannot be written."""
    if not target.parent.is_dir():
        raise WrongUse(f"there is no folder {target.parent}", hint="make it, or name a file in one that is there")
    try:
        write_atomically(target, content)
    except OSError as error:
        said = f"{target} cannot be written: {error.strerror}"
        raise WrongUse(said, hint="name a file in a folder of yours") from error
