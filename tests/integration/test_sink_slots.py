"""Several sink slots at once: each keeps its partitions, whoever dies, and finds what a dead one has left open."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from headrace.core.child import wait_until
from headrace.core.identity import stable_slot
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import BLOCKS, dataset_topics
from headrace.sinks.intents import SCHEMA, Intent, read_intents, write_intents
from headrace.testing.dataset import Dataset, environment_of
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import Topics, TransactionalWriter
from headrace.transport.partition_reader import Place

pytestmark = pytest.mark.stack
LIMIT_SECS = 60.0


@pytest.fixture
def dataset(stack: EmbeddedStack) -> Iterator[Dataset]:
    with Dataset(stack.settings) as made:
        yield made


def test_two_sinks_share_partitions_and_one_that_is_killed_comes_back_to_its_own(dataset: Dataset) -> None:
    places = [str(Place(f"{dataset.name}.valid", partition)) for partition in range(64)]
    partitions = next(count for count in range(4, 64) if len({stable_slot(place, 2) for place in places[:count]}) == 2)
    owners = [stable_slot(place, 2) for place in places[:partitions]]
    Topics(dataset.settings.kafka_client()).ensure(dataset_topics(dataset.name, partitions=partitions))
    environment = environment_of(dataset.settings) | {"HEADRACE_SINK_SLOTS": "2"}
    command = [sys.executable, "-m", "headrace.sinks.app", "--slot"]
    sinks = [subprocess.Popen([*command, str(slot)], env=environment) for slot in (0, 1)]
    try:
        for batch in range(8):
            dataset.publish(2_000, partition=batch % partitions)
            if batch == 4:
                assert wait_until(lambda: dataset.rows_there() > 0, LIMIT_SECS)
                sinks[owners[0]].kill()
                sinks[owners[0]].wait()
        # The other one goes on with its own partitions, and takes none that are not.
        others = sum(owners[batch % partitions] != owners[0] for batch in range(8))
        assert wait_until(lambda: dataset.rows_there() >= 2_000 * others, LIMIT_SECS)
        sinks[owners[0]] = subprocess.Popen([*command, str(owners[0])], env=environment)
        dataset.publish(2_000, partition=0)
        assert wait_until(lambda: dataset.rows_there() >= dataset.rows, LIMIT_SECS)
        for sink in sinks:
            sink.terminate()
        assert [sink.wait(20) for sink in sinks] == [0, 0]
    finally:
        for sink in sinks:
            sink.kill()
            sink.wait()
    assert dataset.counts() == (18_000, 18_000)


def test_intents_are_read_past_what_a_dead_owner_left_open(stack: EmbeddedStack) -> None:
    """Its last intent was never committed: no INSERT followed it. Those of other slots behind it are final."""
    client, topic = stack.settings.kafka_client(), f"intents_{uuid4().hex[:10]}.valid"
    registry = Registry(stack.settings)
    schema_id = registry.system_id(BLOCKS, SCHEMA)
    registry.close()

    def intent(partition: int, first: int) -> Intent:
        return Intent(topic, partition, first, first + 9, 1, 10, f"{topic}/{partition}/{first}-{first + 9}", 0)

    dead, other = (TransactionalWriter(client, f"test-{topic}-{slot}") for slot in (0, 1))
    write_intents(dead, schema_id, [intent(0, 0)])
    dead.begin()
    lost = frame_system(SCHEMA, schema_id, dataclasses.asdict(intent(0, 10)))
    dead.write(BLOCKS, [lost], partition=0, key=str(intent(0, 10).place).encode())
    assert wait_until(lambda: open_transactions(client, BLOCKS) > 0, 10)
    write_intents(other, schema_id, [intent(1, 0)])
    TransactionalWriter(client, dead.transactional_id)
    found = read_intents(client)
    assert {place: found[place] for place in found if place.topic == topic} == {
        Place(topic, 0): intent(0, 0),
        Place(topic, 1): intent(1, 0),
    }


def open_transactions(client: Mapping[str, str], topic: str) -> int:
    """Return how many offsets of a topic's one partition lie behind its first open transaction."""
    ends = []
    for level in ("read_uncommitted", "read_committed"):
        consumer = Consumer({**client, "group.id": f"test-{uuid4().hex}", "isolation.level": level})
        ends.append(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1])
        consumer.close()
    return int(ends[0] - ends[1])
