"""The wire floor: the run's own encoded values with their headers, produced, consumed, produced and consumed again.

Three processes, lz4, one partition, no transactions, nothing decoded: what Kafka and its clients alone allow here.
"""

import json
import multiprocessing
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from headrace.schemas.topics import TopicSpec
from headrace.settings import Settings
from headrace.transport.kafka import Headers, Topics, consumer_config, produce_all, producer_config

FIRST, SECOND = "bench.floor_first", "bench.floor_second"
_BATCH = 20_000
_LIMIT_SECS = 300.0


def keep_values(settings: Settings, topic: str, rows: int, path: Path) -> None:
    """Write the first `rows` messages of a topic to a file: values as they are, and the headers of the first."""
    consumer = Consumer(consumer_config(settings.kafka_client(), **{"group.id": "bench-keep"}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    kept = 0
    headers: Any = None
    message: Any
    with path.open("wb") as stream:
        while kept < rows:
            for message in consumer.consume(_BATCH, timeout=1.0):
                headers = headers or [(name, value.decode()) for name, value in message.headers() or []]
                stream.write(struct.pack("<I", len(message.value())) + message.value())
                kept += 1
    consumer.close()
    path.with_suffix(".headers").write_text(json.dumps(headers))


def run(settings: Settings, path: Path, rows: int) -> float:
    """Return the rows a second of the wire alone, from the first produce to the last consume."""
    first, second = (f"{name}_{time.time_ns()}" for name in (FIRST, SECOND))
    Topics(settings.kafka_client()).ensure([TopicSpec(first), TopicSpec(second)])
    context = multiprocessing.get_context("spawn")
    ready, queue = context.Barrier(3), context.Queue()
    client = settings.kafka_client()
    parts = [
        context.Process(target=_produce, args=(client, first, path, ready, queue)),
        context.Process(target=_forward, args=(client, (first, second), path, rows, ready)),
        context.Process(target=_drain, args=(client, second, rows, ready, queue)),
    ]
    for part in parts:
        part.start()
    moments = sorted(queue.get(timeout=_LIMIT_SECS) for _ in range(2))
    for part in parts:
        part.join(timeout=_LIMIT_SECS)
        assert part.exitcode == 0, f"a floor process ended with {part.exitcode}"
    return rows / float(moments[1] - moments[0])


def _values(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    position = 0
    while position < len(content):
        (size,) = struct.unpack_from("<I", content, position)
        yield content[position + 4 : position + 4 + size]
        position += 4 + size


def _headers(path: Path) -> Headers:
    return [(name, value) for name, value in json.loads(path.with_suffix(".headers").read_text())]


def _plain_producer(client: dict[str, str]) -> Producer:
    return Producer(producer_config(client) | {"enable.idempotence": False})


def _produce(client: dict[str, str], topic: str, path: Path, ready: Any, queue: Any) -> None:
    producer, headers, values = _plain_producer(client), _headers(path), list(_values(path))
    ready.wait()
    queue.put(time.time())
    for start in range(0, len(values), _BATCH):
        produce_all(producer, topic, values[start : start + _BATCH], partition=0, headers=headers)
    producer.flush()


def _consume(client: dict[str, str], topic: str, rows: int, ready: Any) -> Iterator[list[bytes]]:
    config = consumer_config(client, **{"group.id": "bench-floor", "isolation.level": "read_uncommitted"})
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, 0, 0)])
    ready.wait()
    seen, deadline = 0, time.monotonic() + _LIMIT_SECS
    while seen < rows:
        assert time.monotonic() < deadline, f"{topic}: {seen} of {rows} messages within {_LIMIT_SECS} s"
        messages: Any = consumer.consume(_BATCH, timeout=0.1)
        values = [message.value() for message in messages]
        seen += len(values)
        if values:
            yield values
    consumer.close()


def _forward(client: dict[str, str], topics: tuple[str, str], path: Path, rows: int, ready: Any) -> None:
    producer, headers = _plain_producer(client), _headers(path)
    for values in _consume(client, topics[0], rows, ready):
        produce_all(producer, topics[1], values, partition=0, headers=headers)
    producer.flush()


def _drain(client: dict[str, str], topic: str, rows: int, ready: Any, queue: Any) -> None:
    for _values_seen in _consume(client, topic, rows, ready):
        pass
    queue.put(time.time())
