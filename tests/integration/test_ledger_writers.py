"""The ledger has several writers: nobody's open transaction hides an entry, and each entry has one writer at a time."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from headrace.core.vocabulary import FileState
from headrace.producers.ledger import Handover, LedgerView
from headrace.schemas.ledger import FileEntry, entry_key, frame_entry, new_entry, read_entry
from headrace.schemas.registry import Registry
from headrace.schemas.topics import LEDGER, SYSTEM_TOPICS
from headrace.sinks.receipts import Reconciler, TableCounts
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import CompactedTopic, Topics, TransactionalWriter
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OPEN_SECS = 1.0


class Ledger:
    """The ledger of the shared stack, and a slot that writes to it."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.client = stack.settings.kafka_client()
        Topics(self.client).ensure(SYSTEM_TOPICS)
        self.registry = Registry(stack.settings)
        self.warehouse = Warehouse(stack.settings)
        self._schema_id = self.registry.system_id(LEDGER, "file_entry")
        self._slot = TransactionalWriter(self.client, f"test-slot-{uuid4().hex}")

    def entry(self, **fields: Any) -> FileEntry:
        given = {"name": "a.csv", "path": "done/a.csv", "bytes": 9, "modified_at": NOW, "updated_at": NOW}
        return new_entry(dataset=f"led_{uuid4().hex[:10]}", sha256=uuid4().hex * 2, **given | fields)

    def write(self, entry: FileEntry) -> None:
        self._slot.begin()
        self._put(self._slot, entry)
        self._slot.commit()

    @contextmanager
    def open_transaction(self) -> Iterator[None]:
        """Hold another writer's transaction open on the ledger; it is aborted a second after the block has begun."""
        other = TransactionalWriter(self.client, f"test-other-{uuid4().hex}")
        other.begin()
        self._put(other, self.entry(state=FileState.CLAIMED))
        other._producer.flush(10)
        ending = threading.Timer(OPEN_SECS, other.abort)
        ending.start()
        try:
            yield
        finally:
            ending.join()

    def last(self, entry: FileEntry) -> FileEntry:
        with closing(CompactedTopic(self.client, LEDGER)) as topic:
            return read_entry(topic.refresh_to_end()[entry_key(entry.dataset, entry.sha256)])

    def _put(self, writer: TransactionalWriter, entry: FileEntry) -> None:
        key = entry_key(entry.dataset, entry.sha256).encode()
        writer.write(LEDGER, [frame_entry(entry, self._schema_id)], partition=0, key=key)


@pytest.fixture
def ledger(stack: EmbeddedStack) -> Iterator[Ledger]:
    made = Ledger(stack)
    yield made
    made.warehouse.close()
    made.registry.close()


def test_view_holds_what_was_committed_behind_an_open_transaction(ledger: Ledger) -> None:
    entry = ledger.entry(state=FileState.PUBLISHING, next_row=7)
    with ledger.open_transaction():
        ledger.write(entry)
        assert LedgerView.read(ledger.client).resumable(entry.dataset, entry.sha256) == entry


def test_look_at_the_ledger_does_not_wait_for_an_open_transaction(ledger: Ledger) -> None:
    entry = ledger.entry(state=FileState.PUBLISHING)
    key = entry_key(entry.dataset, entry.sha256)
    with closing(CompactedTopic(ledger.client, LEDGER)) as topic:
        topic.refresh_to_end()
        with ledger.open_transaction():
            ledger.write(entry)
            assert key not in topic.refresh()
        assert key in topic.refresh_to_end()


def test_changed_entry_is_the_slots_again_once_it_is_balanced(ledger: Ledger) -> None:
    changed = ledger.entry(state=FileState.CHANGED)
    ledger.write(changed)
    with closing(Handover(ledger.client)) as handover:
        assert not handover.done(changed)
        with closing(Reconciler(ledger.client, ledger.registry, TableCounts(ledger.warehouse))) as reconciler:
            reconciler.step()
        assert ledger.last(changed).balanced
        assert handover.done(changed)


def test_new_reconciler_leaves_a_changed_file_alone_that_went_on_behind_an_open_transaction(ledger: Ledger) -> None:
    changed = ledger.entry(state=FileState.CHANGED)
    ledger.write(changed)
    went_on = changed.with_changes(state=FileState.PUBLISHING, next_row=7, rows_published=7)
    with ledger.open_transaction():
        ledger.write(went_on)
        with closing(Reconciler(ledger.client, ledger.registry, TableCounts(ledger.warehouse))) as reconciler:
            reconciler.step()
    assert ledger.last(changed) == went_on
