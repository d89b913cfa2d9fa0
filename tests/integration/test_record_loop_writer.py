"""The transactional writer against a real broker."""

import pytest
from confluent_kafka import Producer

from headrace.core.child import wait_until
from headrace.errors import ProducerFenced, TransactionFailed
from headrace.schemas.topics import TopicSpec
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic
from headrace.transport.kafka import Topics, TransactionalWriter

pytestmark = pytest.mark.stack


@pytest.fixture
def topic(stack: EmbeddedStack, request: pytest.FixtureRequest) -> str:
    name = f"writer.{request.node.name.replace('[', '.').rstrip(']')[:80]}"
    Topics(stack.settings.kafka_client()).ensure([TopicSpec(name)])
    return name


def values_of(stack: EmbeddedStack, topic: str) -> list[bytes]:
    return [message.value for message in read_topic(stack.settings.kafka_client(), topic)]


def write_and_commit(writer: TransactionalWriter, topic: str, value: bytes, *, partition: int) -> None:
    writer.write(topic, [value], partition=partition)
    writer.commit()


def test_a_transaction_keeps_every_message_and_the_order_when_the_queue_is_full(
    stack: EmbeddedStack, topic: str
) -> None:
    writer = TransactionalWriter(stack.settings.kafka_client(), topic)
    small = {"queue.buffering.max.messages": 7_001, "linger.ms": 0, "transactional.id": topic}
    writer._producer = Producer(stack.settings.kafka_client() | small)
    writer._producer.init_transactions(30)
    values = [b"%d" % number for number in range(30_000)]
    writer.begin()
    writer.write(topic, values, partition=0, headers=[("traceparent", b"x")])
    writer.commit()
    assert wait_until(lambda: values_of(stack, topic) == values, 10)  # markers follow the answer


def test_a_message_that_cannot_be_delivered_fails_the_whole_transaction(stack: EmbeddedStack, topic: str) -> None:
    client = stack.settings.kafka_client()
    writer = TransactionalWriter(client, topic)
    writer.begin()
    writer.write(topic, [b"fine"] * 10, partition=0)
    with pytest.raises(TransactionFailed):
        write_and_commit(writer, topic, b"nowhere", partition=5)
    after = TransactionalWriter(client, topic)
    after.begin()
    after.write(topic, [b"after"], partition=0)
    after.commit()
    assert wait_until(lambda: values_of(stack, topic) == [b"after"], 10)  # markers follow the answer


def test_an_older_writer_with_the_same_id_is_fenced(stack: EmbeddedStack, topic: str) -> None:
    client = stack.settings.kafka_client()
    old = TransactionalWriter(client, topic)
    old.begin()
    old.write(topic, [b"old"], partition=0)
    new = TransactionalWriter(client, topic)
    with pytest.raises(ProducerFenced):
        old.commit()
    new.begin()
    new.write(topic, [b"new"], partition=0)
    new.commit()
    assert wait_until(lambda: values_of(stack, topic) == [b"new"], 10)  # markers follow the answer
