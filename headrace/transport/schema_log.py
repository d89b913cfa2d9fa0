"""The `_schemas` topic as the registry's memory: written with all acknowledgements, read back by one thread."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from headrace.errors import HeadraceError, PositionLost, ServiceUnreachable, StageCrashed, WrongUse
from headrace.schemas.topics import MAX_MESSAGE_BYTES, TopicSpec
from headrace.transport.kafka import Topics, consumer_config, producer_config

WRITE_SECS = 10.0
LOAD_SECS = 120.0
_POLL_SECS = 0.5
_LIBRDKAFKA_LOG = logging.getLogger("headrace.librdkafka")

# A dead broker is asked again twice a second, not twenty times.
_RECONNECT = {"reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 1_000}

Apply = Callable[[bytes, bytes | None, int], None]
Stopped = Callable[[HeadraceError], None]


def _unheard(_error: HeadraceError) -> None:
    """Nobody waits for the reader's end but those who wait for a position."""


class SchemaLog:
    """One compacted partition. `apply(key, value, offset)` gets every record in order, from the reading thread only.

    After `write` returns, the records are on the topic for good and have been applied: that is read-your-write. A
    TimeoutError leaves open whether they were written; the next `sync` settles it, as it waits for the topic's end.
    `stopped(error)` is called once, from the reading thread, if it cannot go on after `open` has returned: what was
    applied gets old from then on.
    """

    def __init__(
        self,
        client: Mapping[str, str],
        topic: str,
        apply: Apply,
        *,
        replication_factor: int = 1,
        stopped: Stopped = _unheard,
    ) -> None:
        self._client: dict[str, Any] = dict(client)
        self._topic = topic
        self._apply = apply
        self._stopped = stopped
        self._replication_factor = replication_factor
        self._arrived = threading.Condition()
        self._position = 0
        self._failure: HeadraceError | None = None
        self._opened = False
        self._stopping = threading.Event()
        self._consumer = Consumer(_reader_config(client, topic))
        self._scout = Consumer(_reader_config(client, topic))
        self._producer = self._new_producer()
        self._reader = threading.Thread(target=self._read, name="schema-log", daemon=True)

    def open(self) -> None:
        """Create the topic if it is missing, and return when all of it has been applied.

        Raises WrongUse for a topic that would lose schemas (not compacted) or their order (several partitions).
        """
        topics = Topics(self._client, self._replication_factor)
        topics.ensure([TopicSpec(self._topic, cleanup="compact")])
        self._check(self._partitions(topics))
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
        self._reader.start()
        self._wait_until(self._end(), LOAD_SECS)
        with self._arrived:
            if self._failure is not None:
                raise self._failure
            self._opened = True

    def sync(self) -> None:
        """Return when everything that is on the topic now has been applied; ServiceUnreachable or TimeoutError."""
        self._wait_until(self._end(), WRITE_SECS)

    def write(self, written: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write records in order and return when all have been applied; ServiceUnreachable or TimeoutError."""
        outcomes: list[tuple[KafkaError | None, int]] = []

        def delivered(error: KafkaError | None, message: Any) -> None:
            outcomes.append((error, message.offset()))

        for key, value in written:
            self._producer.produce(self._topic, key=key, value=value, partition=0, on_delivery=delivered)
        if self._producer.flush(WRITE_SECS + 1.0) or any(error is not None for error, _ in outcomes):
            # What it still holds may not arrive after the caller has been told that it failed.
            self._producer.purge()
            self._producer = self._new_producer()
            raise self._undelivered([error for error, _ in outcomes if error is not None])
        self._wait_until(max(offset for _, offset in outcomes) + 1, WRITE_SECS)

    def close(self) -> None:
        """Stop reading and leave."""
        self._stopping.set()
        if self._reader.ident is not None:
            self._reader.join(timeout=10 * _POLL_SECS)
        self._consumer.close()
        self._scout.close()

    def _new_producer(self) -> Producer:
        return Producer(
            producer_config(self._client)
            | {
                "linger.ms": 0,
                "acks": "all",
                "compression.type": "none",
                "delivery.timeout.ms": int(WRITE_SECS * 1_000),
                "queue.buffering.max.kbytes": 65_536,
                **_RECONNECT,
            }
        )

    def _undelivered(self, errors: list[KafkaError]) -> Exception:
        if not errors or errors[0].code() == KafkaError._MSG_TIMED_OUT:  # noqa: SLF001
            return TimeoutError(f'topic "{self._topic}" did not take a record within {WRITE_SECS:.0f} s')
        return ServiceUnreachable(f'topic "{self._topic}": {errors[0].str()}', hint="see Kafka's log")

    def _partitions(self, topics: Topics) -> int:
        """Return the topic's partitions; the broker's metadata show a new topic only after a moment."""
        deadline = time.monotonic() + WRITE_SECS
        while (found := topics.partitions().get(self._topic)) is None:
            if time.monotonic() > deadline:
                raise ServiceUnreachable(
                    f'topic "{self._topic}" was created but does not appear', hint="see Kafka's log"
                )
            time.sleep(0.05)
        return found

    def _check(self, partitions: int) -> None:
        if partitions != 1:
            raise WrongUse(
                f'topic "{self._topic}" has {partitions} partitions, and the registry needs exactly one',
                hint="move its records to a topic of one partition, or name another Kafka by HEADRACE_KAFKA_BOOTSTRAP",
            )
        settings: dict[str, Any] = {**self._client, "logger": _LIBRDKAFKA_LOG}
        admin = AdminClient(settings)
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        try:
            found = admin.describe_configs([resource], request_timeout=WRITE_SECS)[resource].result()
        except KafkaException as error:
            raise ServiceUnreachable(f'topic "{self._topic}": {error.args[0].str()}', hint="headrace status") from error
        policy = found["cleanup.policy"].value
        if policy != "compact":
            raise WrongUse(
                f'topic "{self._topic}" has cleanup.policy "{policy}": Kafka would delete schemas after a while',
                hint=f"kafka-configs --alter --topic {self._topic} --add-config cleanup.policy=compact",
            )

    def _end(self) -> int:
        """Return the offset after the last record that is on the topic.

        Asked with a consumer of its own: get_watermark_offsets waits for ever while another thread polls, and
        AdminClient.list_offsets finds no leader any more once the broker has been restarted (librdkafka 2.16).
        """
        try:
            place = TopicPartition(self._topic, 0)
            _low, high = self._scout.get_watermark_offsets(place, timeout=WRITE_SECS)
        except KafkaException as error:
            raise ServiceUnreachable(f'topic "{self._topic}": {error.args[0].str()}', hint="headrace status") from error
        return int(high)

    def _wait_until(self, position: int, limit_secs: float) -> None:
        deadline = time.monotonic() + limit_secs
        with self._arrived:
            while self._position < position:
                if self._failure is not None:
                    raise self._failure
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f'topic "{self._topic}" was not read to {position} within {limit_secs:.0f} s')
                self._arrived.wait(left)

    def _read(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(_POLL_SECS)
            if message is None:
                continue
            try:
                position = self._take(message)
            except HeadraceError as error:
                self._fail(error)
                return
            except Exception as error:  # the thread's boundary: one that dies unheard leaves an old memory behind
                cause = f'topic "{self._topic}", offset {message.offset()}: {error!r}'
                self._fail(StageCrashed(cause, hint="start the registry again"))
                return
            if position is not None:
                with self._arrived:
                    self._position = max(self._position, position)
                    self._arrived.notify_all()

    def _take(self, message: Any) -> int | None:
        """Apply one message and return the position after it, None for a passing error of the connection."""
        error = message.error()
        if error is None:
            if message.key() is not None:
                self._apply(message.key(), message.value(), message.offset())
            return int(message.offset()) + 1
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return int(message.offset())
        if error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise PositionLost(
                f'topic "{self._topic}": {error.str()}', hint="was it truncated? start the registry again"
            )
        return None

    def _fail(self, error: HeadraceError) -> None:
        with self._arrived:
            self._failure = error
            opened = self._opened
            self._arrived.notify_all()
        if opened:
            self._stopped(error)


def _reader_config(client: Mapping[str, str], topic: str) -> dict[str, Any]:
    return consumer_config(
        client,
        **{
            "group.id": f"headrace-view-{topic}",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            "queued.min.messages": 1_000,
            "queued.max.messages.kbytes": 8_192,
            **_RECONNECT,
        },
    )
