"""Faust's Kafka consumer, mended for topics that are written in transactions.

Two things differ from Faust's own. It reads only what was committed, without Faust's transactional producer. And its
committed offset is the one after the last event that was processed: Faust waits for the offsets in between, which
transaction markers take and nobody ever delivers, so its commits stop at the first marker (shared measurement:
2,296 of 5,900 events were counted twice after one kill).
"""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP


class ReadCommittedThread(AIOKafkaConsumerThread):
    """Makes its aiokafka consumer with isolation level read_committed."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        self.consumer.in_transaction = True
        try:
            return super()._create_worker_consumer(transport)
        finally:
            self.consumer.in_transaction = False


class GapTolerantConsumer(Consumer):
    """Commits past offsets that carry no event. Right as long as each partition's events are processed in order."""

    def _new_consumer_thread(self) -> ReadCommittedThread:
        return ReadCommittedThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        self._gap.pop(tp, None)
        return int(last) + 1


class GapTolerantTransport(Transport):
    """Faust's aiokafka transport with that consumer."""

    Consumer = GapTolerantConsumer
