"""Which reader reads a file: by content where the content proves it, else by suffix.

Readers are plug-ins of the entry-point group `headrace.readers`, and the built-in ones are registered in the same way.
"""

from functools import cache
from importlib.metadata import entry_points
from pathlib import PurePath

from headrace.core.files import printable
from headrace.core.vocabulary import Reason
from headrace.errors import WrongUse
from headrace.producers.readers.base import FileRefused, Reader
from headrace.producers.readers.signatures import foreign_format

GROUP = "headrace.readers"


@cache
def installed_readers() -> tuple[Reader, ...]:
    """Return one reader of every installed format, ordered by format name; raises WrongUse for a broken plug-in."""
    readers = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        reader = point.load()()
        if not isinstance(reader, Reader):
            raise WrongUse(
                f'reader plug-in "{point.name}" ({point.value}) is not a reader',
                hint="it needs what headrace.producers.readers.base.Reader lists",
            )
        readers.append(reader)
    if not readers:
        raise WrongUse("no file reader is installed", hint="install headrace again: make setup")
    return tuple(readers)


def reader_for(name: str, head: bytes) -> Reader:
    """Return the reader for a file of this name that begins with these bytes (4 KiB are enough).

    Raises FileRefused: EMPTY_FILE without bytes, BINARY or UNKNOWN_FORMAT when no reader knows it.

    >>> reader_for("orders.csv", b"id,price").format
    'csv'
    """
    if not head:
        raise FileRefused(Reason.EMPTY_FILE, "the file has no bytes")
    readers = installed_readers()
    for reader in readers:
        if reader.claims(head):
            return reader
    if foreign := foreign_format(head):
        raise FileRefused(*foreign)
    suffix = PurePath(name).suffix.lower()
    for reader in readers:
        if suffix in reader.suffixes:
            return reader
    known = ", ".join(sorted(suffix for reader in readers for suffix in reader.suffixes))
    raise FileRefused(
        Reason.UNKNOWN_FORMAT,
        f'the content of "{printable(name)}" does not tell its format, and its suffix is none of {known}',
        hint="rename the file to what it is",
    )
