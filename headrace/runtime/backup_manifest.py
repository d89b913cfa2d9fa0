"""What a backup holds: its head, the list of its files with their digests, and which of them a home may get back."""

import json
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

from headrace import __version__
from headrace.errors import BackupRefused

FORMAT = 1
HEAD, MANIFEST = "headrace-backup.json", "headrace-manifest.json"
# What makes a home, and nothing else: run/ holds a password and process ids, logs/ only words.
KEPT = (
    *("inbox", "work", "done", "rejected", "contracts", "learners", "models", "manifests"),
    *("kafka", "warehouse", "silences.yaml", "notify.yaml", "monitor.json"),
)
# Written anew at every start.
LEFT_OUT = frozenset({"warehouse/config", "warehouse/pipes", "warehouse/lock", "kafka/lock"})
_LINKS_WITHIN = "warehouse"


@dataclass(frozen=True)
class Head:
    """The first entry of a backup: who wrote it, when, how much there is, and which services were embedded."""

    format: int
    headrace: str
    chdb: str
    created_at: str
    files: int
    size: int
    elsewhere: list[str]

    def to_bytes(self) -> bytes:
        """Return the head as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def now(cls, created_at: str, files: int, size: int, elsewhere: list[str]) -> "Head":
        """Return the head of a backup that this version writes."""
        return cls(FORMAT, __version__, _chdb(), created_at, files, size, elsewhere)

    def check(self) -> None:
        """Raise BackupRefused if this version of headrace, or of the warehouse, is older than what wrote the backup."""
        if self.format != FORMAT:
            raise _newer(f"has format {self.format}; this headrace reads format {FORMAT}")
        for name, theirs, ours in (
            ("headrace", self.headrace, __version__),
            ("chdb", self.chdb, _chdb()),
        ):
            if theirs and ours and version_of(theirs) > version_of(ours):
                raise _newer(f"was written with {name} {theirs}; here is {name} {ours}")


def _chdb() -> str:
    """Return the version of the embedded warehouse's engine, "" where it is not installed, as in the image."""
    try:
        return metadata.version("chdb")
    except metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class FileEntry:
    """One file: bytes, SHA-256, permissions and the time of its last change."""

    size: int
    sha256: str
    mode: int
    mtime_ns: int


@dataclass
class Manifest:
    """The last entry of a backup: all files, folders and links by their path in the home."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Return the manifest of `to_bytes`, with every path checked; raises BackupRefused."""
        found = document(content, MANIFEST)
        try:
            files = {name: FileEntry(**entry) for name, entry in found["files"].items()}
            manifest = cls(files, dict(found["folders"]), dict(found["links"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise changed(f"{MANIFEST} is not one that headrace writes") from error
        for name in (*manifest.files, *manifest.folders, *manifest.links):
            check_name(name)
        for name, target in manifest.links.items():
            if not link_stays(name, target):
                raise changed(f'the link "{name}" leads to "{target}", out of the tables')
        return manifest


def head_of(content: bytes) -> Head:
    """Return the head in an archive's first entry; raises BackupRefused."""
    try:
        return Head(**document(content, HEAD))
    except TypeError as error:
        raise changed(f"{HEAD} is not one that headrace writes") from error


def document(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object, or raise BackupRefused that names its entry."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise changed(f"{name} cannot be read") from error
    if not isinstance(found, dict):
        raise changed(f"{name} is not one that headrace writes")
    return found


def check_name(name: str) -> str:
    """Return a path that lies in a home, or raise BackupRefused.

    >>> check_name("done/orders/a.csv")
    'done/orders/a.csv'
    """
    parts = name.split("/")
    if parts[0] not in KEPT or any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise changed(f'"{name}" is no place of a home')
    return name


def link_stays(name: str, target: str) -> bool:
    """Return True for a link as ClickHouse makes them: relative, and to a place among the tables.

    >>> link_stays("warehouse/data/data/x", "../store/1"), link_stays("warehouse/x", "../run/y")
    (True, False)
    """
    parts = list(PurePosixPath(name).parent.parts)
    if target.startswith("/"):
        return False
    for part in PurePosixPath(target).parts:
        if part == ".." and not parts:
            return False
        parts = parts[:-1] if part == ".." else [*parts, part]
        if parts[:1] != [_LINKS_WITHIN]:
            return False
    return True


def version_of(text: str) -> tuple[int, ...]:
    """Return a version as numbers.

    >>> version_of("4.10.1") > version_of("4.9")
    True
    """
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def changed(what: str) -> BackupRefused:
    """Return the error that an archive is not what a backup wrote."""
    return BackupRefused(
        f"the backup is foreign or was changed: {what}", hint="take another copy of it; nothing was restored"
    )


def _newer(what: str) -> BackupRefused:
    return BackupRefused(f"the backup {what}", hint="install that version or a later one, then: headrace restore FILE")
