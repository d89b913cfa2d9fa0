"""Alerts of files in a table that survives a kill: what a delta makes of its file, what is open under its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.stream_processors.steps.file_quality import FileQuality, Opened, merge_delta, told_of


@dataclass(frozen=True)
class Merged:
    """What a delta makes of its file: the table entries to keep, and the alerts to publish before that.

    `opened` is the entry of what is open under the file's name: None if it stays as it is, empty if nothing is open.
    """

    key: str
    entry: dict[str, Any]
    alerts: list[dict[str, Any]]
    name_key: str = ""
    opened: dict[str, Any] | None = None


class FileAlerts:
    """Merges deltas into per-file states and says which alerts a completed file raises.

    `table` maps "dataset/file" to {"offset", "partition", "done", "quality"}; it may be a Faust table or a dict. A
    finished file needs no "quality", but one that ended as changed keeps it: when its bytes return, only the rest of
    its rows is judged, while its end tells the rows of all of it. A name under which an alert is open has an entry of
    its own, "?/dataset/name", until it is resolved. `silenced` is asked with dataset, rule and microseconds.
    """

    def __init__(self, table: Any, silenced: Callable[[str, str, int], bool] = lambda *_: False) -> None:
        self._table, self._silenced = table, silenced
        self._merged: dict[int, int] = {}
        self._done: dict[int, tuple[str, int]] = {}
        self._stale: set[str] = set()

    def recover(self) -> None:
        """Take the positions over from the table, after it was restored or reassigned."""
        self._merged.clear()
        self._done.clear()
        self._stale.clear()
        for key, entry in list(self._table.items()):
            partition, offset = entry["partition"], entry["offset"]
            self._merged[partition] = max(self._merged.get(partition, -1), offset)
            if entry["done"] and not entry["quality"]:
                self._keep_newest_done(key, partition, offset)

    def merge(self, partition: int, offset: int, published_at: int, delta: dict[str, Any]) -> Merged | None:
        """Return what one delta makes of its file, None if it was merged before. Changes nothing until `keep`."""
        if offset <= self._merged.get(partition, -1):
            return None
        dataset, file = delta["dataset"], delta["file"]
        key = f"{dataset}/{file}"
        entry = self._table.get(key)
        before = FileQuality(**entry["quality"]) if entry else FileQuality()
        quality = merge_delta(before.reopened() if entry and entry["done"] else before, delta)
        done = quality.complete
        kept = {} if done and not quality.may_go_on else quality.to_json()
        after = {"offset": offset, "partition": partition, "done": done, "quality": kept}
        if not done:
            return Merged(key, after, [])
        name_key = f"?/{dataset}/{quality.name}"
        known = self._table.get(name_key) or {"open": {}}
        opened = {rule: Opened(**values) for rule, values in known["open"].items()}
        alerts, left = told_of(
            dataset, file, quality, published_at, opened, lambda rule: self._silenced(dataset, rule, published_at)
        )
        # Its offset says nothing of the position: the file's own entry, which is written after it, does.
        place = {"offset": -1, "partition": partition, "done": False, "quality": {}}
        changed = place | {"open": {rule: vars(one) for rule, one in left.items()}} if left else {}
        return Merged(key, after, alerts, name_key, changed if left != opened else None)

    def keep(self, merged: Merged) -> None:
        """Write a merged state to the table. Call it once its alerts are acknowledged, so that a kill loses none."""
        partition, offset = merged.entry["partition"], merged.entry["offset"]
        self._merged[partition] = offset
        if merged.opened:
            self._table[merged.name_key] = merged.opened
        elif merged.opened is not None:
            self._table.pop(merged.name_key, None)
        self._table[merged.key] = merged.entry
        if merged.entry["done"] and not merged.entry["quality"]:
            self._keep_newest_done(merged.key, partition, offset)
        elif self._done.get(partition, ("", -1))[0] == merged.key:
            del self._done[partition]
        # Not when it is found stale: Faust lets a table be changed within an event only, not while it is restored.
        self._stale.discard(merged.key)
        while self._stale:
            self._table.pop(self._stale.pop(), None)

    def _keep_newest_done(self, key: str, partition: int, offset: int) -> None:
        """Mark as stale the entries of finished files but the newest of each partition, which carries the position."""
        older_key, older = self._done.get(partition, ("", -1))
        keep, drop = (key, older_key) if offset >= older else (older_key, key)
        self._done[partition] = (keep, max(offset, older))
        if drop and drop != keep:
            self._stale.add(drop)
