"""What the sinks agree on: where a topic's messages are stored, the block that is inserted at once, and the store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headrace.schemas.record import RecordSchema
from headrace.schemas.topics import (
    ADVICE,
    ALERTS,
    LEDGER,
    METRICS,
    MODELS,
    PREDICTIONS,
    PROFILES,
    QUARANTINE,
    VALID,
    WINDOWS,
    parse_data_topic,
)
from headrace.transport.partition_reader import Place


@dataclass(frozen=True)
class Target:
    """The table of a topic. `system` names the schema of the platform's own records, "" for a dataset's.

    In an `overwriting` table the newest entry of a key replaces the others, so a repeat does no harm and a compacted
    topic, whose ranges change, can be stored. Fields in `unstored` are for other readers of the topic: they stay out.
    """

    table: str
    system: str = ""
    overwriting: bool = False
    unstored: frozenset[str] = frozenset()


_SYSTEM_TARGETS = {
    LEDGER: Target("file_entries", "file_entry", overwriting=True),
    ALERTS: Target("alert_entries", "alert", overwriting=True),
    # Windows, and what they knew, are stored once they are closed, from quality.windows.
    PROFILES: Target("profiles", "profile_delta", unstored=frozenset({"windows", "facts"})),
    WINDOWS: Target("window_entries", "window", overwriting=True),
    ADVICE: Target("advice_entries", "advice", overwriting=True),
    PREDICTIONS: Target("predictions", "prediction"),
    METRICS: Target("model_metrics", "model_metric"),
    MODELS: Target("model_event_entries", "model_event", overwriting=True),
}


def target_of(topic: str) -> Target | None:
    """Return where a topic's messages are stored, None if they are not.

    >>> target_of("flights.valid"), target_of("flights.raw")
    (Target(table='flights', system='', overwriting=False, unstored=frozenset()), None)
    """
    found = parse_data_topic(topic)
    if found is None:
        return _SYSTEM_TARGETS.get(topic)
    dataset, stage = found
    if stage == VALID:
        return Target(dataset)
    return Target("quarantine", "quarantined_row") if stage == QUARANTINE else None


@dataclass(frozen=True)
class Block:
    """Messages of one partition and one schema, ready to be inserted as one part of a table."""

    place: Place
    target: Target
    first: int
    last: int
    schema_id: int
    rows: int
    columns: tuple[str, ...]
    data_format: str
    data: bytes

    @property
    def token(self) -> str:
        """Return what the store knows the block by: its range, whatever its bytes."""
        return block_token(self.place, self.first, self.last)


def block_token(place: Place, first: int, last: int) -> str:
    """Return the deduplication token of a range.

    >>> block_token(Place("flights.valid", 0), 5, 9)
    'flights.valid/0/5-9'
    """
    return f"{place}/{first}-{last}"


class Sink(Protocol):
    """A store of blocks. Calls block; they raise ServiceUnreachable for what may pass and WarehouseRefused else."""

    def prepare(self) -> None:
        """Bring the store's own tables up to date. Called once before anything else."""

    def open(self, target: Target) -> bool:
        """Return True if the target's table exists; raises WarehouseRefused if it could not hold off a repeat."""

    def forget(self, target: Target) -> None:
        """Look at the table anew when it is needed next: a person may have mended it."""

    def widen(self, target: Target, schema: RecordSchema, low_cardinality: Callable[[], frozenset[str]]) -> None:
        """Make a dataset's table, or add the columns that a new schema brings; never changes a type.

        `low_cardinality` tells, if asked, which text columns have few distinct values.
        """

    def count(self, target: Target, place: Place, first: int = 0, last: int = 2**63 - 1) -> int:
        """Return how many rows of a range of offsets are stored; 0 if there is no table."""

    def insert(self, block: Block) -> None:
        """Store a block whole or not at all; a block whose token was used lately is not stored again."""

    def close(self) -> None:
        """Leave."""
