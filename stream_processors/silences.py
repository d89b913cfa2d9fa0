"""The file of silences as a running process has it: read again whenever it has changed."""

from pathlib import Path

from headrace.observability.events import emit
from headrace.observability.window_events import SilencesUnreadable
from headrace.schemas.silences import HINT, Silence, sound_silences


class Silences:
    """The file, read again whenever it has changed. An entry that cannot be followed silences nothing; others stand."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._entries: list[Silence] = []

    def covers(self, dataset: str, rule: str, at: int) -> bool:
        """Return True if a person asked not to be told of a rule of a dataset at a moment (microseconds)."""
        return any(entry.covers(dataset, rule, at) for entry in self._entries)

    def names_now(self, dataset: str, rule: str, at: int) -> bool:
        """Read the file if it has changed; return True if it names a rule of a dataset at a moment (microseconds)."""
        self.refresh()
        return any(entry.names(dataset, rule, at) for entry in self._entries)

    def refresh(self) -> None:
        """Read the file if it has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._entries = None, []
            return
        seen = (found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen, self._entries = seen, []
        try:
            self._entries, problems = sound_silences(self._path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            problems = [str(error)]
        if problems:
            emit(SilencesUnreadable(path=str(self._path), cause="; ".join(problems), hint=HINT))
