"""A consumer of partitions that are assigned by hand: no group membership, so nothing rebalances."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import Message

from headrace.errors import ServiceUnreachable
from headrace.transport.kafka import TransactionalWriter, consumer_config

_CALL_SECS = 10.0
_LIBRDKAFKA_LOG = logging.getLogger("headrace.librdkafka")
# The partition's log no longer holds the offset, or the topic is gone.
_LOST = {
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
    KafkaError.OFFSET_OUT_OF_RANGE,
}
_ABSENT = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
}


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True)
class Run:
    """Messages of one partition, in order of offset; offsets may have gaps (markers, aborted transactions)."""

    place: Place
    messages: list[Any]

    def values(self) -> list[bytes | None]:
        """Return the values; None is a tombstone."""
        return list(map(Message.value, self.messages))

    def keys(self) -> list[bytes | None]:
        """Return the keys."""
        return list(map(Message.key, self.messages))

    def offsets(self) -> list[int]:
        """Return the offsets."""
        offsets: list[Any] = list(map(Message.offset, self.messages))
        return offsets

    def timestamps(self) -> list[int]:
        """Return the broker's times in milliseconds since 1970.

        They do not fall within a partition, and all messages of one batch have the same: where both ends of a stretch
        agree, what is between them does too.
        """
        messages, found = self.messages, [0] * len(self.messages)

        def fill(start: int, stop: int) -> None:
            low, high = messages[start].timestamp()[1], messages[stop - 1].timestamp()[1]
            if low == high or stop - start <= 2:
                found[start:stop] = [low] * (stop - start)
                found[stop - 1] = high
            else:
                middle = (start + stop) // 2
                fill(start, middle)
                fill(middle, stop)

        if messages:
            fill(0, len(messages))
        return found

    def header(self, index: int, name: str) -> bytes:
        """Return a header of one message, b"" if it has none. Costs 1 µs: not for every message."""
        for key, value in self.messages[index].headers() or ():
            if key == name and value is not None:
                return bytes(value)
        return b""


@dataclass
class Poll:
    """What one poll gave: messages, partitions read to their end (with the end), and those that cannot go on."""

    runs: list[Run] = field(default_factory=list)
    ended: dict[Place, int] = field(default_factory=dict)
    lost: dict[Place, str] = field(default_factory=dict)


class PartitionReader:
    """Reads committed messages of the partitions it was told to start. Not for use from several threads.

    `settings` are librdkafka's, for readers that need other queues than the sink does.
    """

    def __init__(self, client: Mapping[str, str], group: str, **settings: Any) -> None:
        self._address = client["bootstrap.servers"]
        overrides = settings | {"group.id": group, "enable.partition.eof": True}
        self._consumer = Consumer(consumer_config(client, **overrides))
        # Questions have a connection of their own: behind a waiting fetch each would take up to fetch.wait.max.ms.
        config: dict[str, Any] = {**client, "logger": _LIBRDKAFKA_LOG}
        self._admin = AdminClient(config)
        self._started: set[Place] = set()

    def partitions(self) -> dict[str, int]:
        """Return the number of partitions of every topic; raises ServiceUnreachable."""
        metadata = self._ask(self._admin.list_topics, timeout=_CALL_SECS)
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def bounds(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        """Return (first readable offset, end) of partitions as the broker knows them now; raises ServiceUnreachable.

        A partition that is gone meanwhile, or so new that it has no leader yet, is left out.
        """
        lows = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        highs = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: (lows[place], highs[place]) for place in places if place in lows and place in highs}

    def _offsets(self, places: Sequence[Place], which: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(*place): which for place in places}
        futures = self._admin.list_offsets(asked, request_timeout=_CALL_SECS) if asked else {}
        found = {}
        for place, future in futures.items():
            try:
                found[Place(place.topic, place.partition)] = int(future.result().offset)
            except KafkaException as error:
                cause = error.args[0]
                if cause.code() not in _ABSENT:
                    raise self._unreachable(cause) from error
        return found

    def recorded(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the offsets that `record` left, where there are any; raises ServiceUnreachable."""
        asked = [TopicPartition(*place) for place in places]
        found = self._ask(self._consumer.committed, asked, timeout=_CALL_SECS) if asked else []
        return {Place(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def record(self, offsets: Mapping[Place, int], *, wait: bool = False) -> None:
        """Leave the next offsets to read with the group, where any Kafka tool shows the lag."""
        positions = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        if positions:
            self._ask(self._consumer.commit, offsets=positions, asynchronous=not wait)

    def record_in(self, writer: TransactionalWriter, offsets: Mapping[Place, int]) -> None:
        """Put the next offsets to read into a writer's open transaction; raises TransactionFailed."""
        writer.send_offsets([TopicPartition(*place, offset) for place, offset in offsets.items()], self._consumer)

    def start(self, place: Place, offset: int) -> None:
        """Read a partition from an offset on."""
        self._started.add(place)
        self._ask(self._consumer.incremental_assign, [TopicPartition(*place, offset)])

    def reads(self, place: Place) -> bool:
        """Return True for a partition that is being read."""
        return place in self._started

    def stop(self, place: Place) -> None:
        """Read a partition no more; messages fetched already are not given out."""
        if place in self._started:
            self._started.remove(place)
            self._ask(self._consumer.incremental_unassign, [TopicPartition(*place)])

    def poll(self, limit: int, timeout_secs: float) -> Poll:
        """Return up to `limit` messages, waiting at most `timeout_secs` for the first."""
        found = Poll()
        messages = self._ask(self._consumer.consume, limit, timeout_secs)
        if not messages:
            return found
        if not any(map(Message.error, messages)):
            good = messages
        else:
            good = [message for message in messages if not self._trouble(message, found)]
        found.runs = [run for run in runs_of(good) if run.place in self._started]
        return found

    def behind(self, place: Place, next_offset: int) -> int:
        """Return how many offsets lie before the end as last heard of; markers count, so it is rough."""
        _low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
        return max(0, high - next_offset)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _trouble(self, message: Any, found: Poll) -> bool:
        """Note an event that is not a message and return True."""
        error: KafkaError | None = message.error()
        if error is None:
            return False
        place = Place(message.topic() or "", message.partition() or 0)
        if place not in self._started:
            return True
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            found.ended[place] = message.offset()
        elif error.code() in _LOST:
            found.lost[place] = error.str()
        # Everything else (a broker away, a time-out, a deleted topic) librdkafka or the next look at the topics mends.
        return True

    def _ask(self, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KafkaException as error:
            raise self._unreachable(error.args[0]) from error

    def _unreachable(self, cause: KafkaError) -> ServiceUnreachable:
        return ServiceUnreachable(f"Kafka at {self._address}: {cause.str()}", hint="headrace status")


def runs_of(messages: list[Any]) -> list[Run]:
    """Return the messages by partition. The common batch has one partition, and is passed on whole."""
    if not messages:
        return []
    topics: list[Any] = list(map(Message.topic, messages))
    partitions: list[Any] = list(map(Message.partition, messages))
    if topics.count(topics[0]) == len(topics) and partitions.count(partitions[0]) == len(partitions):
        return [Run(Place(topics[0], partitions[0]), messages)]
    found: dict[Place, list[Any]] = {}
    for topic, partition, message in zip(topics, partitions, messages, strict=True):
        found.setdefault(Place(topic, partition), []).append(message)
    return [Run(place, members) for place, members in found.items()]
