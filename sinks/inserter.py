"""The thread that waits for the warehouse, so that the next block is read and decoded meanwhile."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from headrace.errors import HeadraceError, ServiceUnreachable, WarehouseRefused
from headrace.observability.events import emit
from headrace.observability.metric_events import BatchDone
from headrace.observability.propagation import RemoteContext
from headrace.observability.sink_events import BlockStored, StoreAwaited
from headrace.sinks.base import Block, Sink

_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 0.1, 5.0


@dataclass(frozen=True)
class Prepared:
    """A block whose bytes are ready. `files` maps the files in it to the span that judged them, if known."""

    block: Block
    repeated: bool = False
    files: Mapping[str, RemoteContext | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a block: stored between two moments, refused, or (neither) given up because of a stop."""

    prepared: Prepared
    start_ns: int
    end_ns: int
    stored: bool
    refusal: HeadraceError | None = None


class Inserter:
    """Inserts one round of blocks at a time, in order; `closing` ends the wait for a warehouse that does not answer."""

    def __init__(self, sink: Sink, closing: threading.Event) -> None:
        self._sink = sink
        self._closing = closing
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="insert")
        self._round: Future[list[Outcome]] | None = None

    @property
    def idle(self) -> bool:
        """Return True if a round can be submitted."""
        return self._round is None

    def submit(self, blocks: list[Prepared]) -> None:
        """Begin to insert blocks whose intents are committed. Does not block."""
        self._round = self._thread.submit(lambda: [self._insert(prepared) for prepared in blocks])

    def outcomes(self, *, timeout_secs: float = 0.0) -> list[Outcome] | None:
        """Return what became of the round once it is over, None before; waits at most `timeout_secs` for it."""
        if self._round is None or not wait([self._round], timeout_secs).done:
            return None
        over, self._round = self._round, None
        return over.result()

    def close(self) -> None:
        """Wait for the INSERT that is under way, then leave."""
        self._thread.shutdown(wait=True)
        self._sink.close()

    def _insert(self, prepared: Prepared) -> Outcome:
        wait_secs = _FIRST_WAIT_SECS
        start = time.time_ns()
        while True:
            try:
                self._sink.insert(prepared.block)
            except WarehouseRefused as error:
                return Outcome(prepared, start, time.time_ns(), stored=False, refusal=error)
            except ServiceUnreachable as error:
                emit(StoreAwaited(cause=str(error), retry_secs=wait_secs))
                if self._closing.wait(wait_secs):
                    return Outcome(prepared, start, time.time_ns(), stored=False)
                wait_secs = min(wait_secs * 2, _LONGEST_WAIT_SECS)
            else:
                end = time.time_ns()
                self._tell(prepared.block, (end - start) / 1e9)
                return Outcome(prepared, start, end, stored=True)

    @staticmethod
    def _tell(block: Block, seconds: float) -> None:
        emit(BlockStored(table=block.target.table, token=block.token, rows=block.rows, seconds=round(seconds, 3)))
        emit(BatchDone(rows=block.rows, size=len(block.data), seconds=seconds))
