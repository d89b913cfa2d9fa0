"""The platform's own messages that go out with a file's records: quarantined rows, profile deltas, headers."""

from collections import Counter
from collections.abc import Sequence

from headrace.core.vocabulary import FileState, Stage
from headrace.producers.readers.base import UnreadableRow
from headrace.schemas.ledger import FileEntry
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import LEDGER, PROFILES, QUARANTINE, data_topic
from headrace.transport.kafka import Headers

_QUARANTINED_ROW = "quarantined_row"
_PROFILE_DELTA = "profile_delta"


class Messages:
    """Makes the messages, with the registry's ids of their schemas. The registry is asked once for each."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.ledger_id = registry.system_id(LEDGER, "file_entry")
        self._delta_id = registry.system_id(PROFILES, _PROFILE_DELTA)

    def quarantined(self, rows: Sequence[UnreadableRow], entry: FileEntry) -> list[bytes]:
        """Return one message for each row that the reader could not frame or parse."""
        if not rows:
            return []
        schema_id = self._registry.system_id(data_topic(entry.dataset, QUARANTINE), _QUARANTINED_ROW)
        return [frame_system(_QUARANTINED_ROW, schema_id, _quarantined_row(row, entry)) for row in rows]

    def delta(
        self,
        entry: FileEntry,
        rows: Sequence[UnreadableRow],
        *,
        tolerance: float | None = None,
        owner: str = "",
        ended: bool = False,
    ) -> bytes:
        """Return the reader's profile delta: what it put aside, and in the last one how many rows the file has."""
        value = {
            "dataset": entry.dataset,
            "file": entry.file,
            "name": entry.name,
            "stage": Stage.READ.value,
            "contract_version": entry.contract_version,
            "trace_id": entry.trace_id,
            "rows": len(rows),
            "rejected": len(rows),
            "reasons": dict(
                Counter(code for row in rows for code in {problem.reason.value for problem in row.problems})
            ),
            "rules": {},
            "columns": [],
        }
        if ended:
            value |= {
                "file_rows": entry.rows_published,
                "file_state": entry.state.value,
                "file_reason": entry.reason,
                "file_detail": entry.detail,
                "file_path": entry.path,
                "tolerance": tolerance,
                "owner": owner,
            }
        return frame_system(_PROFILE_DELTA, self._delta_id, value)


def record_headers(entry: FileEntry, context: str) -> Headers:
    """Return the headers of every message of one frame: one list, shared. `context` is its `traceparent`."""
    return [
        ("traceparent", context.encode()),
        ("contract", entry.contract_version.encode()),
    ]


def final_state(partial: bool) -> FileState:
    """Return the state in which a file's last frame leaves it."""
    return FileState.PARTIAL if partial else FileState.PUBLISHED


def _quarantined_row(row: UnreadableRow, entry: FileEntry) -> dict[str, object]:
    return {
        "_file": entry.file,
        "_row": row.row,
        "dataset": entry.dataset,
        "stage": Stage.READ.value,
        "reasons": [
            {"code": problem.reason.value, "field": problem.field, "rule": "", "detail": problem.detail}
            for problem in row.problems
        ],
        "raw": row.raw,
        "record": None,
        "length": row.length,
        "sha256": row.sha256,
        "byte_start": row.byte_start,
        "byte_end": row.byte_end,
        "source_topic": "",
        "source_partition": None,
        "source_offset": None,
        "schema_id": entry.schema_id,
        "contract_version": entry.contract_version,
        "trace_id": entry.trace_id,
    }
