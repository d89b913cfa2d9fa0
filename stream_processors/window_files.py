"""Files in the table of windows: what the judge told of each, until its receipt comes and puts it into a window.

Keys: `f/DATASET/file/FILE` rows of a file that were judged and refused, `t/DATASET` which receipts were taken, and the
newest registered schema. An entry has the offset of the delta that wrote it, so that a delta that comes again changes
nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from headrace.stream_processors.steps.file_facts import FACTS, FileFacts, bounded_receipts
from headrace.stream_processors.window_index import Index, json_bytes
from headrace.stream_processors.window_plan import Plan

MOST_TOLD: Final = 64
"""Receipts whose ids are remembered; what is older than all of them counts as told."""
MOST_FILES: Final = 2_000
"""Files of a dataset that are counted while their receipts are awaited; of older ones the judge's rows are forgotten.
Their rule `sink_reconcile` then says that it does not know them."""


def file_key(dataset: str, file: str) -> str:
    """Return the key of a file that was judged in part."""
    return f"f/{dataset}/file/{file}"


def told_key(dataset: str) -> str:
    """Return the key of what was told of a dataset's files."""
    return f"t/{dataset}"


class Told:
    """Which receipts a dataset's windows have, as (moment in microseconds, id), the newest last.

    `taken` are those that the message at `offset` told.
    """

    def __init__(self, data: bytes | None) -> None:
        values = json.loads(data or b"{}")
        self.offset: int = values.get("offset", -1)
        self.schema_id: int | None = values.get("schema_id")
        self.taken: list[str] = values.get("taken", [])
        self._told: list[tuple[int, str]] = [(at, name) for at, name in values.get("told", [])]

    def has(self, moment: int, name: str) -> bool:
        """Return True for a receipt that was taken, or is older than all that are remembered."""
        full = len(self._told) >= MOST_TOLD
        return (moment, name) in self._told or (full and moment < self._told[0][0])

    def add(self, moment: int, name: str) -> None:
        """Remember one more."""
        self._told = sorted({*self._told, (moment, name)})[-MOST_TOLD:]

    def pack(self) -> bytes:
        """Return it as bytes."""
        own = {"offset": self.offset, "schema_id": self.schema_id, "taken": self.taken, "told": self._told}
        return json_bytes(own)


class Files:
    """The files of one plan. Reads the table through what the plan has changed so far."""

    def __init__(self, table: Mapping[str, bytes], index: Index, plan: Plan) -> None:
        self._table, self._index, self._plan = table, index, plan

    def told(self) -> Told:
        """Return what was told up to now: a repeat after a kill finds the same, whatever was written of it before."""
        key = told_key(self._plan.dataset)
        return Told(self._plan.puts.get(key) or self._table.get(key))

    def count(self, delta: Mapping[str, Any]) -> None:
        """Add what the judge says of a file."""
        offset, key = self._plan.source.offset, file_key(self._plan.dataset, delta["file"])
        before, judged, refused = json.loads(self._table.get(key) or b"[-1,0,0]")
        if before < offset:
            entry = [offset, judged + delta["rows"], refused + delta["rejected"]]
            self._plan.puts[key] = json_bytes(entry)
        files = self._index.files.get(self._plan.dataset, {})
        for file in list(files)[: max(0, len(files) - MOST_FILES)]:
            self._plan.drops.append(file_key(self._plan.dataset, file))

    def take(self, delta: Mapping[str, Any]) -> dict[str, str]:
        """Return the receipts that a message of stage `facts` tells and nobody told before."""
        values, dataset = json.loads(delta["facts"] or "{}"), self._plan.dataset
        told, found = self.told(), dict[str, str]()
        # A delta that comes again after a kill takes what it took before.
        before = set(told.taken) if told.offset >= self._plan.source.offset else None
        told.offset, told.taken = self._plan.source.offset, []
        told.schema_id = values.get("schema_id", told.schema_id)
        for one in values.get("files", ()):
            receipt = FileFacts(**one["facts"])
            if told.has(one["moment"], receipt.id) if before is None else receipt.id not in before:
                continue
            told.add(one["moment"], receipt.id)
            told.taken.append(receipt.id)
            found[receipt.id] = receipt.with_produced(self._produced(receipt.file)).text()
            # A skipped copy has the id of the file whose bytes it has, which may still be judged.
            over = one["final"] and not receipt.first_name
            if over and receipt.file in self._index.files.get(dataset, {}):
                self._plan.drops.append(file_key(dataset, receipt.file))
        self._plan.puts[told_key(dataset)] = told.pack()
        return bounded_receipts(found)

    def _produced(self, file: str) -> int | None:
        entry = self._table.get(file_key(self._plan.dataset, file))
        if entry is None:
            return None
        _, judged, refused = json.loads(entry)
        return int(judged - refused)


def is_facts(delta: Mapping[str, Any]) -> bool:
    """Return True for a message that tells what is known of files, and no rows."""
    return bool(delta["stage"] == FACTS)
