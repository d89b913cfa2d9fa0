"""An ingest slot: a transactional producer, a view of the ledger, and the two threads that bring files to Kafka."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from headrace.core.identity import stable_slot
from headrace.errors import HeadraceError, ProducerFenced, TransactionFailed, Transient
from headrace.observability.events import BatchRepeated, StageWaits, emit
from headrace.observability.tracing import FileTracer
from headrace.producers.claim import ClaimedFile
from headrace.producers.endings import Endings
from headrace.producers.file_work import FileWork
from headrace.producers.inbox import Oddity, out_of_room
from headrace.producers.ledger import Handover, LedgerView
from headrace.producers.messages import Messages
from headrace.producers.outgoing import Channel
from headrace.producers.plan import FilePlanner
from headrace.producers.publisher import Publisher
from headrace.producers.reading import ReadingThread
from headrace.producers.ready_queue import ReadyQueue
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.settings import Settings
from headrace.transport.kafka import Topics

STAGE = "watcher"
_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 0.2, 5.0
_POLL_SECS = 0.5


class IngestSlot(threading.Thread):
    """Serves the datasets that hash to its number until told to stop. What cannot be retried ends up in `failure`."""

    def __init__(
        self,
        settings: Settings,
        slot: int,
        tracer: FileTracer,
        *,
        settled: Callable[[Path, ClaimedFile], None],
        oddity_found: Callable[[Oddity], None],
        rows_done: Callable[[int], None],
        over: Callable[[], None],
    ) -> None:
        super().__init__(name=f"slot-{slot}", daemon=True)
        self.ready = ReadyQueue()
        self.failure: BaseException | None = None
        self._settings = settings
        self._slot = slot
        self._tracer = tracer
        self._settled = settled
        self._oddity_found = oddity_found
        self._rows_done = rows_done
        self._over = over
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask it to finish the frames at hand, commit them, and end."""
        self._stopping.set()
        self.ready.wake()

    def run(self) -> None:
        """Serve; after a failure that may pass, begin again from what the ledger says."""
        wait = _FIRST_WAIT_SECS
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._serve()
            except Exception as error:  # the boundary of the thread: it is raised again in the main one
                if not _may_pass(error):
                    self.failure = error
                    break
                wait = _FIRST_WAIT_SECS if time.monotonic() - started > 10 * _LONGEST_WAIT_SECS else wait
                self._tell(error, wait)
                self._stopping.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECS)
        self._over()

    def _serve(self) -> None:
        settings = self._settings
        client = settings.kafka_client()
        # First the transactions, which settles what a killed process left open; then the ledger.
        publisher = Publisher(client, self._slot)
        view = LedgerView.read(client)
        with (
            closing(Registry(settings)) as registry,
            closing(ContractStore(settings, client, registry)) as contracts,
            closing(Handover(client)) as handover,
        ):
            self._publish(publisher, view, *self._work(view, registry, contracts, handover))

    def _publish(self, publisher: Publisher, view: LedgerView, work: FileWork, messages: Messages) -> None:
        settings = self._settings
        channel = Channel(2 * settings.frame_rows)
        reading = ReadingThread(work, self.ready, channel, slot=self._slot, slots=settings.ingest_slots)
        reading.start()
        try:
            while True:
                if self._stopping.is_set():
                    reading.halt()
                batch = channel.take(settings.frame_rows, _POLL_SECS)
                if batch is None:
                    return
                work.endings.retry()
                if batch:
                    self._rows_done(publisher.publish(batch, view, messages.ledger_id))
        finally:
            channel.close()
            reading.halt()
            reading.join()

    def _work(
        self, view: LedgerView, registry: Registry, contracts: ContractStore, handover: Handover
    ) -> tuple[FileWork, Messages]:
        settings = self._settings
        messages = Messages(registry)
        topics = Topics(settings.kafka_client(), settings.replication_factor)
        planner = FilePlanner(settings, registry, contracts, topics)
        active: set[str] = set()
        endings = Endings(settings.paths(), messages, released=active.discard, settled=self._settled)
        work = FileWork(
            settings.paths(),
            view,
            planner,
            messages,
            self._tracer,
            endings,
            self._oddity_found,
            handover.done,
            active=active,
        )
        return work, messages

    def _tell(self, error: Exception, wait: float) -> None:
        if isinstance(error, TransactionFailed):
            emit(BatchRepeated(stage=STAGE, cause=str(error)))
        else:
            room = "free some room on the disk of the home"
            hint = getattr(error, "hint", "") or (
                room if out_of_room(error) else "let the pipeline use its own folders"
            )
            emit(StageWaits(stage=STAGE, cause=str(error), hint=hint, retry_secs=wait))


def slot_of(dataset: str, slots: int) -> int:
    """Return the slot that owns a dataset."""
    return stable_slot(dataset, slots)


def _may_pass(error: Exception) -> bool:
    """Return True for what a person or time can mend meanwhile: a service, the disk, a folder's permissions."""
    if isinstance(error, ProducerFenced):
        return False
    return isinstance(error, OSError) or (isinstance(error, HeadraceError) and isinstance(error, Transient))
