"""Read a topic from its beginning, once or for ever, without a consumer group's position."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from headrace.errors import ServiceUnreachable
from headrace.transport.kafka import consumer_config

_CALL_SECS, _AGAIN_SECS = 10.0, 0.2


@dataclass(frozen=True)
class Message:
    """One committed message. `published_at_ms` is the broker's time, milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    published_at_ms: int


def read_topic(
    client: Mapping[str, str], topic: str, *, follow: bool = False, stopped: threading.Event | None = None
) -> Iterator[Message]:
    """Yield a topic's messages, oldest first within a partition; ends at the present end.

    With `follow` it ends only when `stopped` is set, and lives through restarts of Kafka. Raises ServiceUnreachable if
    Kafka does not answer at the beginning, for ten seconds.
    """
    consumer = Consumer(consumer_config(client, **{"group.id": f"headrace-read-{topic}"}))
    try:
        ends = _ends(consumer, topic)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        while not (stopped and stopped.is_set()) and (follow or _waiting(consumer, ends)):
            found: list[Any] = consumer.consume(1_000, timeout=0.2)
            for message in found:
                if message.error() is None and message.value() is not None:
                    yield Message(
                        message.topic(),
                        message.partition(),
                        message.offset(),
                        message.key(),
                        message.value(),
                        message.timestamp()[1],
                    )
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """Return the end offset of each partition that holds anything; a broker that comes back in time is waited for."""
    deadline = time.monotonic() + _CALL_SECS
    while True:
        try:
            return _asked_ends(consumer, topic, deadline)
        except KafkaException as error:
            if time.monotonic() > deadline:
                message = f'topic "{topic}" cannot be read: {error.args[0].str()}'
                raise ServiceUnreachable(message, hint="headrace status; headrace up") from error
            time.sleep(_AGAIN_SECS)


def _asked_ends(consumer: Consumer, topic: str, deadline: float) -> dict[int, int]:
    def left() -> float:
        return max(0.1, deadline - time.monotonic())

    found = {}
    for partition in consumer.list_topics(topic, timeout=left()).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=left())
        found[partition] = int(high) if high > low else 0
    return found


def _waiting(consumer: Consumer, ends: Mapping[int, int]) -> bool:
    """Return True while a partition is not read to the end it had; positions step over transaction markers."""
    positions = consumer.position(consumer.assignment())
    return any(position.offset < ends[position.partition] for position in positions if ends[position.partition])
