"""A member of a consumer group that reads committed batches, and never guesses where to begin."""

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.cimpl import Message

from headrace.errors import PositionLost, ProducerFenced, ServiceUnreachable
from headrace.observability.events import MemberLeftOpen, emit
from headrace.transport.kafka import TransactionalWriter, consumer_config
from headrace.transport.partition_reader import Place, Run, runs_of

SESSION_MS = 6_000
_CALL_SECS = 10.0
_CLOSE_SECS = 10.0
_LINGER_SECS = 0.03
_FATAL = {KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001
_LOST = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001

# Says that a partition without a committed offset may begin at 0, or raises PositionLost.
BeginCheck = Callable[[Place], None]


@dataclass
class Batch:
    """Messages by partition, each partition's in order of offset."""

    runs: list[Run] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return how many messages there are."""
        return sum(len(run.messages) for run in self.runs)

    @property
    def size(self) -> int:
        """Return the bytes of the values. The loop runs in C: 1 ms for 50,000 messages."""
        return sum(sum(map(len, run.messages)) for run in self.runs)


class GroupConsumer:
    """A static member of a group, subscribed to a pattern of topics; a new topic is found within about a second.

    A partition goes on at the group's committed offset. Without one it begins at 0, if its log still starts there and
    `begin_check` agrees; else PositionLost. Partitions move only within `poll`, so no batch is cut by a rebalance:
    what was polled and not committed in time is refused by the broker (the group's generation goes with the offsets).
    """

    def __init__(
        self, client: Mapping[str, str], *, group: str, member: str, pattern: str, begin_check: BeginCheck
    ) -> None:
        self._address = client["bootstrap.servers"]
        self._begin_check = begin_check
        self._member = member
        self._failure: PositionLost | ServiceUnreachable | None = None
        self._next: dict[Place, int] = {}
        self._moved: set[Place] = set()
        overrides = {
            "group.id": group,
            "group.instance.id": member,
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": SESSION_MS // 4,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.partition.eof": True,
            "queued.min.messages": 50_000,
        }
        self._pattern = pattern
        self._looked_after = False
        self._consumer = Consumer(consumer_config(client, **overrides))
        self._subscribe()

    @property
    def places(self) -> frozenset[Place]:
        """Return the partitions that this member reads now."""
        return frozenset(self._next)

    def poll(self, limit: int, timeout_secs: float) -> Batch:
        """Return what is there, up to `limit` messages, waiting up to `timeout_secs` for the first of them.

        A small batch comes 30 ms after its first message at the latest. Raises PositionLost, ServiceUnreachable,
        and ProducerFenced if another process became this member.
        """
        if self._next and not self._looked_after:
            self._look_after()
        messages = self._consume(1, timeout_secs)
        if messages:
            self._moved.clear()
            following = self._consume(limit - 1, _LINGER_SECS)
            # A partition that was taken away meanwhile, and perhaps given back, goes on at its committed offset.
            # Within one call the client itself drops what became outdated.
            messages = [one for one in messages if Place(one.topic(), one.partition()) not in self._moved] + following
        if not messages:
            return Batch()
        if any(map(Message.error, messages)):
            messages = [message for message in messages if not self._trouble(message)]
        runs = runs_of(messages)
        for run in runs:
            self._next[run.place] = run.messages[-1].offset() + 1
        return Batch(runs)

    def commit_through(self, writer: TransactionalWriter, batch: Batch) -> None:
        """Put the positions after this batch into the writer's open transaction; raises TransactionFailed."""
        offsets = [TopicPartition(*run.place, run.messages[-1].offset() + 1) for run in batch.runs]
        writer.send_offsets(offsets, self._consumer)

    def lag(self) -> int:
        """Return how many offsets are before the ends last heard of. Asks no broker; at the ends it is 0."""
        behind = 0
        for place, position in self._next.items():
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            behind += max(0, high - position)
        return behind

    def close(self) -> None:
        """Leave; a static member keeps its partitions until its session ends, for its successor.

        The client waits for ever if an assignment came that nobody has taken yet (librdkafka's issue 4884): what has
        come is taken first, and a close that meets one all the same is left to itself.
        """
        with suppress(KafkaException):
            self._consumer.poll(0)
        leaving = threading.Thread(target=self._consumer.close, name=f"{self._member} leaves", daemon=True)
        leaving.start()
        leaving.join(_CLOSE_SECS)
        if leaving.is_alive():
            emit(MemberLeftOpen(member=self._member, after_secs=_CLOSE_SECS))

    def _subscribe(self) -> None:
        self._consumer.subscribe([self._pattern], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def _look_after(self) -> None:
        """Join once more if the first assignment lacks a partition.

        A static member that comes back is given what it had, without a rebalance, so topics made in its absence would
        have no reader. Coming again with its new member id starts one.
        """
        self._looked_after = True
        try:
            topics = self._consumer.list_topics(timeout=_CALL_SECS).topics
        except KafkaException as error:
            raise self._unreachable(error) from error
        matching = [name for name in topics if re.match(self._pattern, name)]
        if any(Place(name, number) not in self._next for name in matching for number in topics[name].partitions):
            self._consumer.unsubscribe()
            self._subscribe()

    def _consume(self, limit: int, timeout_secs: float) -> list[Any]:
        try:
            messages: list[Any] = self._consumer.consume(limit, timeout_secs)
        except KafkaException as error:
            raise self._unreachable(error) from error
        if self._failure is not None:
            raise self._failure
        return messages

    def _assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        """Say where each new partition goes on. What fails here is raised by the poll that called it."""
        try:
            starts = [self._start(found) for found in consumer.committed(assigned, timeout=_CALL_SECS)]
        except (PositionLost, ServiceUnreachable) as error:
            self._failure = error
            starts = []
        except KafkaException as error:
            self._failure = self._unreachable(error)
            starts = []
        self._next |= {_place(start): start.offset for start in starts}
        consumer.incremental_assign(starts)

    def _revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        known = [one for one in revoked if self._next.pop(_place(one), None) is not None]
        self._moved |= {_place(one) for one in known}
        consumer.incremental_unassign(known)

    def _start(self, committed: TopicPartition) -> TopicPartition:
        place = _place(committed)
        if committed.error is not None:
            raise ServiceUnreachable(f"offset of {place} at {self._address}: {committed.error}", hint="headrace status")
        if committed.offset < 0:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_CALL_SECS)
            if low > 0:
                raise _lost(place, f"nothing of it is committed, and its log begins at offset {low}, not 0")
            if high > 0:
                self._begin_check(place)
            return TopicPartition(place.topic, place.partition, 0)
        return TopicPartition(place.topic, place.partition, committed.offset)

    def _trouble(self, message: Any) -> bool:
        """Return True for an event that is not a message; raise for one that means a lost position."""
        error: KafkaError | None = message.error()
        if error is None:
            return False
        if error.code() in _FATAL:
            what = f'member "{self._member}": {error.str()}'
            raise ProducerFenced(what, hint="another process with this slot has taken over; stop one of them")
        place = Place(str(message.topic()), int(message.partition() or 0))
        if error.code() in _LOST:
            raise _lost(place, error.str())
        if error.code() == KafkaError._PARTITION_EOF and place in self._next:  # noqa: SLF001
            self._next[place] = max(self._next[place], message.offset())
        # Everything else (a broker away, a topic gone) librdkafka mends by itself, or it was deleted on purpose.
        return True

    def _unreachable(self, error: KafkaException) -> ServiceUnreachable:
        return ServiceUnreachable(f"Kafka at {self._address}: {error.args[0].str()}", hint="headrace status")


def _place(found: Any) -> Place:
    return Place(found.topic, found.partition)


def _lost(place: Place, cause: str) -> PositionLost:
    return PositionLost(
        f"where to read {place} on is unknown: {cause}",
        hint="set the group's offset to the first record that was not judged (kafka-consumer-groups --reset-offsets)",
    )
