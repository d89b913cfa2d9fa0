"""Kafka as the pipeline uses it: transactional writers, topics, and compacted topics read to their end."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from headrace.errors import ProducerFenced, ServiceUnreachable, TransactionFailed
from headrace.observability.events import emit
from headrace.observability.logs import LIBRDKAFKA
from headrace.observability.metric_events import TransactionCommitted
from headrace.schemas.topics import MAX_MESSAGE_BYTES, TopicSpec

TRANSACTION_TIMEOUT_MS = 15_000
_CALL_SECS = 30.0
_POLL_EVERY = 5_000
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001
_LEADERLESS = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
_LIBRDKAFKA_LOG = logging.getLogger(LIBRDKAFKA)

Headers = list[tuple[str, str | bytes | None]]


def producer_config(client: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that were measured best for batches of small records (docs/decisions)."""
    return {
        **client,
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 20,
        "batch.size": 1_048_576,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 262_144,
        "statistics.interval.ms": 0,
        "topic.metadata.refresh.interval.ms": 1_000,
        "reconnect.backoff.max.ms": 1_000,
        "logger": _LIBRDKAFKA_LOG,
    }


def consumer_config(client: Mapping[str, str], **overrides: Any) -> dict[str, Any]:
    """Return a read-committed consumer's settings, fetching in large batches; nothing is committed by itself."""
    return {
        **client,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "queued.min.messages": 200_000,
        "queued.max.messages.kbytes": 65_536,
        "fetch.max.bytes": 16_777_216,
        "max.partition.fetch.bytes": 2_097_152,
        # Ten idle readers cost the broker 8 % of a core, and 2.6 % with 500; but then a row was visible 0.33 s later,
        # perhaps since a question for a topic's end waits behind a fetch on the same connection.
        "fetch.wait.max.ms": 100,
        "topic.metadata.refresh.interval.ms": 1_000,
        "reconnect.backoff.max.ms": 1_000,
        "logger": _LIBRDKAFKA_LOG,
        **overrides,
    }


def produce_all(
    producer: Producer,
    topic: str,
    values: Iterable[bytes],
    *,
    partition: int,
    key: bytes | None = None,
    headers: Headers | None = None,
) -> None:
    """Hand messages to a producer; blocks only while its send queue is full. Raises KafkaException.

    The loop runs in C over positional arguments and without a callback for each message: 1.5 s of CPU a million
    records instead of 2.5. Whether they were delivered, the flush or commit tells.
    """
    pending = values if isinstance(values, list) else list(values)
    done = 0
    while done < len(pending):
        part = pending[done : done + _POLL_EVERY]
        waiting = iter(part)
        rest = (repeat(key), repeat(partition), repeat(None), repeat(None), repeat(0), repeat(headers))
        try:
            deque(map(producer.produce, repeat(topic), waiting, *rest), maxlen=0)
            done += len(part)
        except BufferError:
            done += len(part) - length_hint(waiting) - 1
            producer.poll(0.1)
        producer.poll(0)


class TransactionalWriter:
    """One transactional producer. `begin`, `write` as often as needed, then `commit` or `abort`.

    Initialising fences whoever had the same id and waits until their transaction is settled. After TransactionFailed
    the writer is spent: make a new one, read the state of record again, and repeat the batch.
    """

    def __init__(self, client: Mapping[str, str], transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._begun_at = 0.0
        self._producer = Producer(
            producer_config(client)
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "delivery.report.only.error": True,
            }
        )
        self._call("initialise", self._producer.init_transactions, _CALL_SECS)

    def begin(self) -> None:
        """Open a transaction. Does not block."""
        self._call("begin", self._producer.begin_transaction)
        self._begun_at = time.monotonic()

    def write(
        self,
        topic: str,
        values: Iterable[bytes],
        *,
        partition: int,
        key: bytes | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Add messages to the open transaction; blocks only while the send queue is full."""
        try:
            produce_all(self._producer, topic, values, partition=partition, key=key, headers=headers)
        except KafkaException as error:
            raise self._translate("write", error) from error

    def send_offsets(self, offsets: Sequence[TopicPartition], consumer: Consumer) -> None:
        """Put a consumer group's offsets (the next to read) into the open transaction."""
        metadata = consumer.consumer_group_metadata()
        self._call("send offsets", self._producer.send_offsets_to_transaction, list(offsets), metadata, _CALL_SECS)

    def commit(self) -> None:
        """Flush and commit. Returning means that all of it will be read; TransactionFailed, that nobody can read it.

        Kafka writes the markers just after it has answered, so a reader may see the end before the transaction for some
        milliseconds, or until the broker is back if it is killed then. Who must see it makes a writer of the same id
        first: initialising waits for the markers.
        """
        self._call("flush", self._producer.flush, _CALL_SECS)
        self._call("commit", self._producer.commit_transaction, _CALL_SECS)
        emit(TransactionCommitted(seconds=time.monotonic() - self._begun_at))

    def abort(self) -> None:
        """Give the open transaction up. librdkafka wants one delivery acknowledged before it (its issue 4849)."""
        self._producer.poll(0.1)
        self._call("abort", self._producer.abort_transaction, _CALL_SECS)

    def _call(self, doing: str, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except KafkaException as error:
            raise self._translate(doing, error) from error

    def _translate(self, doing: str, error: KafkaException) -> ProducerFenced | TransactionFailed:
        cause: KafkaError = error.args[0]
        what = f'{doing} transaction of "{self.transactional_id}": {cause.str()}'
        if cause.code() in _FENCED:
            return ProducerFenced(what, hint="another process with this slot has taken over; stop one of them")
        return TransactionFailed(what)


class Topics:
    """What exists on the cluster: topics, partitions and end offsets."""

    def __init__(self, client: Mapping[str, str], replication_factor: int = 1) -> None:
        self._address = client["bootstrap.servers"]
        self._replication_factor = replication_factor
        config: dict[str, Any] = {**client, "logger": _LIBRDKAFKA_LOG}
        self._admin = AdminClient(config)

    def ensure(self, specs: Iterable[TopicSpec]) -> dict[str, int]:
        """Create the topics that are missing, and add partitions where a spec asks for more. Blocks until done.

        Returns how many partitions each has then: Kafka takes none away, so a spec that asks for fewer changes nothing.
        """
        existing = self.partitions()
        wanted = list(specs)
        missing = [
            NewTopic(spec.name, spec.partitions, self._replication_factor, config=spec.config())
            for spec in wanted
            if spec.name not in existing
        ]
        if missing:
            for name, future in self._admin.create_topics(missing, operation_timeout=_CALL_SECS).items():
                self._settle(name, future, KafkaError.TOPIC_ALREADY_EXISTS)
        wider = [
            NewPartitions(spec.name, spec.partitions)
            for spec in wanted
            if spec.partitions > existing.get(spec.name, spec.partitions)
        ]
        if wider:
            for name, future in self._admin.create_partitions(wider, operation_timeout=_CALL_SECS).items():
                self._settle(name, future, KafkaError.INVALID_PARTITIONS)
        return {spec.name: max(spec.partitions, existing.get(spec.name, 0)) for spec in wanted}

    def partitions(self, limit_secs: float = _CALL_SECS) -> dict[str, int]:
        """Return the number of partitions of every topic; ServiceUnreachable after `limit_secs` without an answer."""
        try:
            metadata = self._admin.list_topics(timeout=limit_secs)
        except KafkaException as error:
            raise ServiceUnreachable(f"Kafka at {self._address} does not answer", hint="headrace status") from error
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def _settle(self, name: str, future: Any, *fine: int) -> None:
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() not in fine:
                raise ServiceUnreachable(f'topic "{name}": {error.args[0].str()}', hint="see Kafka's log") from error


class CompactedTopic:
    """The last value of each key of a one-partition compacted topic, kept up to date by `refresh`."""

    def __init__(self, client: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._values: dict[str, bytes] = {}
        self._consumer = Consumer(
            consumer_config(client, **{"group.id": f"headrace-view-{topic}", "enable.partition.eof": True})
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self._client = client
        self._uncommitted: Consumer | None = None

    def refresh(self, limit_secs: float = _CALL_SECS) -> dict[str, bytes]:
        """Read up to the first open transaction and return the whole view; the same dict grows with every call.

        It does not wait for anybody's transaction, so what was committed behind an open one is missing. Raises
        ServiceUnreachable if that place is not reached within `limit_secs`.
        """
        deadline = time.monotonic() + limit_secs
        return self._read_to(self._end(self._consumer, deadline), deadline, limit_secs)

    def refresh_to_end(self, limit_secs: float = _CALL_SECS) -> dict[str, bytes]:
        """Read everything committed before this call and return the whole view, as `refresh` does.

        Transactions that are open now are waited for: of the others nothing behind them can be read before. The broker
        ends a dead writer's after TRANSACTION_TIMEOUT_MS. Raises ServiceUnreachable after `limit_secs`.
        """
        deadline = time.monotonic() + limit_secs
        if self._uncommitted is None:
            # A read-committed consumer is told the last stable offset as the end, and has no way to ask for the real.
            settings = {"group.id": f"headrace-end-{self._topic}", "isolation.level": "read_uncommitted"}
            self._uncommitted = Consumer(consumer_config(self._client, **settings))
        return self._read_to(self._end(self._uncommitted, deadline), deadline, limit_secs)

    def _read_to(self, end: int, deadline: float, limit_secs: float) -> dict[str, bytes]:
        while True:
            position = self._consumer.position([TopicPartition(self._topic, 0)])[0].offset
            if position >= end or (end == 0 and position < 0):
                return self._values
            if time.monotonic() > deadline:
                late = f'topic "{self._topic}" could not be read to its end within {limit_secs:.0f} s'
                raise ServiceUnreachable(late, hint="see Kafka's log")
            for message in self._consumer.consume(10_000, timeout=0.2):
                self._take(message)

    def _take(self, message: Any) -> None:
        if message.error() is not None or message.key() is None:
            return
        # Anyone may write to the topic: a key that is no text stands for itself, and is no key of ours.
        key = message.key().decode(errors="backslashreplace")
        if message.value() is None:
            self._values.pop(key, None)
        else:
            self._values[key] = message.value()

    def _end(self, consumer: Consumer, deadline: float) -> int:
        while True:
            left = deadline - time.monotonic()
            try:
                found = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=max(0.1, left))
                return int(found[1])
            except KafkaException as error:
                # A topic that was just created, or whose broker restarts, has no leader for a moment.
                if left < 0 or error.args[0].code() not in _LEADERLESS:
                    message = f'topic "{self._topic}": {error.args[0].str()}'
                    raise ServiceUnreachable(message, hint="headrace status") from error
                time.sleep(0.1)

    def close(self) -> None:
        """Leave. Does not commit anything."""
        self._consumer.close()
        if self._uncommitted is not None:
            self._uncommitted.close()
