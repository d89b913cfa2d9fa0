"""Where the sink begins to read a partition, from what was intended, what is stored, and what Kafka still holds."""

from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import PositionLost
from headrace.sinks.base import Target
from headrace.sinks.intents import Intent
from headrace.transport.partition_reader import Place


@dataclass(frozen=True)
class Beginning:
    """The offset to read from; with `repeat` the range of that intent is inserted again first, under its token."""

    offset: int
    repeat: Intent | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a partition when it is opened.

    `recorded` is the offset that the sink left with its group: all below it was stored (it is written only after that,
    so it may lag but never lies). `low` and `high` bound what Kafka holds. `stored` counts rows of a range of offsets.
    """

    place: Place
    target: Target
    low: int
    high: int
    recorded: int | None
    intent: Intent | None
    table_exists: bool
    stored: Callable[[int, int], int]


def find_beginning(known: Known) -> Beginning:
    """Return where to begin; raises PositionLost where going on would lose rows or store them twice."""
    if known.intent is None:
        return _without_intent(known)
    if not known.table_exists:
        raise _lost(known, f'was stored up to offset {known.intent.last}, but table "{known.target.table}" is gone')
    if known.high <= known.intent.last:
        raise _lost(known, f"ends at {known.high}, but was read up to offset {known.intent.last}: it is another topic")
    if known.target.overwriting:
        # Compaction takes messages out of any range, and a repeat overwrites: read on from the first that is left.
        return Beginning(max(known.intent.first, known.low))
    return _after_intent(known, known.intent)


def _after_intent(known: Known, intent: Intent) -> Beginning:
    # The warehouse forgets a token after 10,000 later inserts into the table, and a quiet partition's intent may be
    # older than that: so first look whether the rows are there.
    recorded = known.recorded or 0
    if recorded <= intent.last:
        rows = known.stored(intent.first, intent.last)
        if rows == 0:
            _demand(known, intent.first)
            return Beginning(intent.first, intent)
        if rows != intent.rows:
            raise _lost(known, f"has {rows} of the {intent.rows} rows of block {intent.token} in the table")
    next_offset = max(recorded, intent.last + 1)
    _demand(known, next_offset)
    return Beginning(next_offset)


def _without_intent(known: Known) -> Beginning:
    recorded = known.recorded or 0
    if not known.target.overwriting:
        _demand(known, recorded)
        if known.table_exists and known.stored(0, 2**63 - 1):
            raise _lost(known, f'has no entry in sink.blocks, but table "{known.target.table}" holds rows of it')
    return Beginning(max(recorded, known.low))


def _demand(known: Known, offset: int) -> None:
    """Refuse to step over messages that Kafka has deleted before they were stored."""
    if known.low > offset:
        raise _lost(known, f"should be read from offset {offset}, but Kafka holds it from {known.low} only")


def _lost(known: Known, what: str) -> PositionLost:
    return PositionLost(
        f'topic "{known.place}" {what}',
        hint="restore what is missing, or drop the files again under another dataset; raise retention for the future",
    )
