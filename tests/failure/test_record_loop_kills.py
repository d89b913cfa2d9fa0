"""The judge under kill -9, restarts and a second member: each record comes out once."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.core.guarded import guarded_command
from headrace.errors import PositionLost
from headrace.observability.status import read_stage
from headrace.schemas.codec import encode, polars_schema
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system
from headrace.schemas.topics import SYSTEM_TOPICS, TopicSpec, dataset_topics, value_subject
from headrace.stream_processors.beginnings import check_beginning
from headrace.testing.stack import EmbeddedStack
from headrace.transport.consumer import GroupConsumer
from headrace.transport.kafka import Topics, TransactionalWriter
from headrace.transport.partition_reader import Place

pytestmark = pytest.mark.stack
LIMIT_SECS = 60.0
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:test:{dataset}
version: 1.0.0
status: active
schema:
  - name: {dataset}
    logicalType: object
    properties:
      - name: number
        logicalType: integer
        logicalTypeOptions:
          maximum: 1000000
"""


class Flow:
    """Publishes numbered records to the partitions of one dataset and reads what came of them."""

    def __init__(self, stack: EmbeddedStack, dataset: str, partitions: int) -> None:
        self.settings, self.dataset, self.partitions = stack.settings, dataset, partitions
        self.client = stack.settings.kafka_client()
        self.registry = Registry(stack.settings)
        Topics(self.client).ensure((*SYSTEM_TOPICS, *dataset_topics(dataset, partitions=partitions)))
        self.contract: Contract = parse_contract(CONTRACT.format(dataset=dataset))
        store = ContractStore(stack.settings, self.client, self.registry)
        store.record(self.contract)
        store.close()
        self.schema = self.contract.record_schema
        for stage in ("raw", "valid"):
            self.id = self.registry.register(value_subject(f"{dataset}.{stage}"), self.schema.text())
        self.writer = TransactionalWriter(self.client, f"test-{dataset}")
        self.published = 0

    def publish(self, rows: int) -> None:
        """Every hundredth record breaks the contract."""
        first = self.published
        numbers = [row if row % 100 else 2_000_000 + row for row in range(first, first + rows)]
        self.writer.begin()
        for partition in range(self.partitions):
            mine = range(partition, rows, self.partitions)
            columns = {
                "number": [numbers[at] for at in mine],
                "_file": [f"{partition:016x}"] * len(mine),
                "_row": [first + at for at in mine],
            }
            frame = pl.DataFrame(columns, schema=polars_schema(self.schema))
            headers: list[tuple[str, str | bytes | None]] = [("contract", self.contract.version.encode())]
            values = encode(frame, self.schema, self.id)
            self.writer.write(f"{self.dataset}.raw", values, partition=partition, headers=headers)
        self.writer.commit()
        self.published += rows

    def outcome(self) -> tuple[Counter[bytes], Counter[int]]:
        """Return how often each valid message and each quarantined row is there."""
        valid = Counter(self._read("valid"))
        rows = (read_system("quarantined_row", value)["_row"] for value in self._read("quarantine"))
        return valid, Counter(rows)

    def done(self) -> int:
        return sum(len(self._read(stage)) for stage in ("valid", "quarantine"))

    def _read(self, stage: str) -> list[bytes]:
        consumer = Consumer(
            {
                **self.client,
                "group.id": "test",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        topic = f"{self.dataset}.{stage}"
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(self.partitions)])
        found: list[bytes] = []
        ended = 0
        deadline = time.monotonic() + LIMIT_SECS
        try:
            while ended < self.partitions:
                assert time.monotonic() < deadline, "an open transaction hides the end"
                for message in consumer.consume(10_000, 0.2):
                    if message.error() is None:
                        found.append(message.value() or b"")
                    else:
                        ended += 1
        finally:
            consumer.close()
        return found


@pytest.fixture
def flow_of(stack: EmbeddedStack) -> Iterator[Callable[[str, int], Flow]]:
    made: list[Flow] = []

    def make(dataset: str, partitions: int) -> Flow:
        made.append(Flow(stack, dataset, partitions))
        return made[-1]

    yield make
    for flow in made:
        flow.registry.close()


@pytest.fixture
def start(stack: EmbeddedStack, tmp_path: Path) -> Iterator[Callable[[int], "subprocess.Popen[bytes]"]]:
    running: list[subprocess.Popen[bytes]] = []

    def run(slot: int) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-m", "headrace.stream_processors.record_loop", "--slot", str(slot)]
        environment = os.environ | {"HEADRACE_HOME": str(stack.settings.home)}
        with (tmp_path / f"judge-{slot}.out").open("ab") as output:
            running.append(subprocess.Popen(guarded_command(program), env=environment, stdout=output, stderr=output))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"


def running(flow: Flow, process: "subprocess.Popen[bytes]", slot: int = 0) -> bool:
    name = "judge" if slot == 0 else f"judge-{slot}"
    told = read_stage(flow.settings.paths(), name, process.pid)
    return told is not None and told["state"] == "running"


def stop(flow: Flow, process: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: running(flow, process))
    process.terminate()
    assert process.wait(LIMIT_SECS) == 0


def assert_once(flow: Flow) -> None:
    valid, quarantined = flow.outcome()
    assert set(valid.values()) == {1}
    assert quarantined == Counter(range(0, flow.published, 100))
    assert len(valid) + len(quarantined) == flow.published


Starter = Callable[[int], "subprocess.Popen[bytes]"]


def test_each_record_comes_out_once_when_the_judge_is_killed_and_started_again(
    flow_of: Callable[[str, int], Flow], start: Starter
) -> None:
    flow, moments = flow_of("judge_killed", 1), random.Random(7)
    judge = start(0)
    for _kill in range(2):
        before = flow.done()
        for _part in range(4):
            flow.publish(5_000)
        target = before + moments.randrange(1, 15_000)
        wait_until(lambda: flow.done() >= target)  # noqa: B023
        judge.kill()
        judge.wait()
        judge = start(0)
    wait_until(lambda: flow.done() >= flow.published)
    stop(flow, judge)
    assert_once(flow)


def test_each_record_comes_out_once_when_a_second_judge_joins_and_leaves(
    flow_of: Callable[[str, int], Flow], start: Starter
) -> None:
    flow = flow_of("judge_shared", 4)
    first = start(0)
    flow.publish(4_000)
    wait_until(lambda: flow.done() >= 4_000)
    second = start(1)
    wait_until(lambda: running(flow, second, 1))
    flow.publish(20_000)
    wait_until(lambda: flow.done() >= 6_000)
    second.kill()
    second.wait()
    flow.publish(20_000)
    wait_until(lambda: flow.done() >= flow.published)
    stop(flow, first)
    assert_once(flow)


def test_an_older_judge_of_the_same_slot_stops_for_good(flow_of: Callable[[str, int], Flow], start: Starter) -> None:
    flow = flow_of("judge_fenced", 1)
    old = start(0)
    flow.publish(100)
    wait_until(lambda: flow.done() >= 100)
    start(0)
    flow.publish(100)
    assert old.wait(LIMIT_SECS) == 78
    wait_until(lambda: flow.done() >= 200)
    assert_once(flow)


def test_a_partition_that_was_judged_before_is_not_begun_again(flow_of: Callable[[str, int], Flow]) -> None:
    flow = flow_of("judge_position", 1)
    place = Place("judge_position.raw", 0)
    check_beginning(flow.settings, flow.registry, place)
    flow.writer.begin()
    flow.writer.write("judge_position.valid", [b"x"], partition=0)
    flow.writer.abort()
    check_beginning(flow.settings, flow.registry, place)
    after = TransactionalWriter(flow.client, "test-judge_position")
    after.begin()
    after.write("judge_position.valid", [b"x"], partition=0)
    after.commit()
    with pytest.raises(PositionLost, match=r"judge_position\.valid/0 holds what was judged before"):
        check_beginning(flow.settings, flow.registry, place)


def test_a_log_that_lost_its_beginning_is_not_read_without_a_committed_offset(stack: EmbeddedStack) -> None:
    client = stack.settings.kafka_client()
    Topics(client).ensure([TopicSpec("cut_short.log")])
    writer = TransactionalWriter(client, "test-cut-short")
    writer.begin()
    writer.write("cut_short.log", [b"x"] * 10, partition=0)
    writer.commit()
    admin = AdminClient(dict(client))
    for future in admin.delete_records([TopicPartition("cut_short.log", 0, 5)]).values():
        future.result(LIMIT_SECS)
    consumer = GroupConsumer(
        client, group="cut-short", member="cut-0", pattern=r"^cut_short\.log$", begin_check=lambda _place: None
    )
    with pytest.raises(PositionLost, match="its log begins at offset 5"):
        wait_until(lambda: bool(consumer.poll(10, 0.2).runs))
    consumer.close()
