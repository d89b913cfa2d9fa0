"""The sending side of an ingest slot: frames and the ledger entries that tell of them, in one Kafka transaction."""

import time
from collections.abc import Mapping, Sequence

from headrace.core.identity import stable_slot
from headrace.errors import HeadraceError
from headrace.observability.events import emit
from headrace.observability.metric_events import BatchDone
from headrace.producers.ledger import LedgerView
from headrace.producers.outgoing import Outgoing
from headrace.schemas.ledger import frame_entry
from headrace.schemas.topics import LEDGER, PROFILES, QUALITY_PARTITIONS, QUARANTINE, RAW, data_topic
from headrace.transport.kafka import TransactionalWriter


def transactional_id(slot: int) -> str:
    """Return the transactional id of an ingest slot."""
    return f"headrace-ingest-{slot}"


class Publisher:
    """Owns a slot's transactional producer. Making one fences whoever had the slot, so read the ledger after it."""

    def __init__(self, client: Mapping[str, str], slot: int) -> None:
        self._writer = TransactionalWriter(client, transactional_id(slot))

    def publish(self, batch: Sequence[Outgoing], view: LedgerView, ledger_id: int) -> int:
        """Commit a batch, then let each of its files know; return the number of rows.

        Raises TransactionFailed (nothing of the batch can be read, and this publisher is spent) or ProducerFenced.
        """
        started = time.monotonic()
        try:
            self._writer.begin()
            for item in batch:
                self._write(item, ledger_id)
            self._writer.commit()
        except HeadraceError as error:
            for item in batch:
                if item.failed is not None:
                    item.failed(error)
            raise
        for item in batch:
            view.apply(item.key, item.entry)
        for item in batch:
            if item.committed is not None:
                item.committed()
        rows = sum(item.rows for item in batch)
        size = sum(sum(map(len, item.records)) + sum(map(len, item.quarantined)) for item in batch)
        emit(BatchDone(rows=rows, size=size, seconds=time.monotonic() - started))
        return rows

    def _write(self, item: Outgoing, ledger_id: int) -> None:
        write, entry = self._writer.write, item.entry
        if item.records:
            write(data_topic(entry.dataset, RAW), item.records, partition=item.partition, headers=item.headers)
        if item.quarantined:
            topic = data_topic(entry.dataset, QUARANTINE)
            write(topic, item.quarantined, partition=item.partition, headers=item.headers)
        if item.delta is not None:
            partition = stable_slot(entry.dataset, QUALITY_PARTITIONS)
            write(PROFILES, [item.delta], partition=partition, key=entry.dataset.encode())
        write(LEDGER, [frame_entry(entry, ledger_id)], partition=0, key=item.key.encode())
