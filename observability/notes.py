"""Small files in the home that tell of the line: what a process is, where it answers, what the monitor remembers."""

from pathlib import Path

from headrace.core.files import write_atomically
from headrace.observability.events import emit
from headrace.observability.metric_events import NoteNotWritten


def write_note(path: Path, content: bytes, *, durable: bool = True) -> bool:
    """Replace a note as a whole, and return whether it is written.

    For `durable` see `write_atomically`. A full disk costs the note, and not the process that wanted to write it: the
    old one stays, and that is told.
    """
    try:
        write_atomically(path, content, durable=durable)
    except OSError as error:
        tell_not_written(path, error)
        return False
    return True


def tell_not_written(path: Path, error: OSError) -> None:
    """Tell that a note could not be written."""
    emit(NoteNotWritten(note=path.name, cause=str(error), hint="free some room on the disk"))
