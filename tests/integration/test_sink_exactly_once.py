"""The sink against real Kafka and a real warehouse: every row once, whatever is killed and whoever takes over."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.core.identity import trace_id
from headrace.errors import ProducerFenced, ServiceUnreachable
from headrace.observability.tracing import FileTracer, Kind, SpanRecord
from headrace.schemas.record import FieldType, RecordField
from headrace.sinks.base import Block, Sink, target_of
from headrace.sinks.blocks import BLOCK_ROWS
from headrace.sinks.clickhouse import ClickHouseSink
from headrace.sinks.sink_loop import Progress, SinkSlot, SlotTools
from headrace.testing.dataset import Dataset, environment_of
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import ONE_BLOCK, Warehouse

pytestmark = pytest.mark.stack

FILE = "0123456789abcdef"
LIMIT_SECS = 60.0


class DiedError(BaseException):
    """Stands for a kill -9 of the process at exactly this point."""


@dataclass
class Owner:
    """A running slot, and what it told."""

    slot: SinkSlot
    told: list[Progress]
    spans: list[SpanRecord]
    closed: bool = False

    def close(self) -> None:
        """Let the slot leave, if it did not yet."""
        if not self.closed:
            self.closed = True
            self.slot.close()

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the slot work until something is so."""
        deadline = time.monotonic() + LIMIT_SECS
        while not condition():
            assert time.monotonic() < deadline, self.told[-3:]
            for _ in range(3):
                self.slot.step()

    def halted(self, dataset: Dataset) -> bool:
        """Return True while the dataset's partition is put aside."""
        return bool(self.told) and f"{dataset.name}.valid/0" in self.told[-1].halted


@pytest.fixture
def dataset(stack: EmbeddedStack) -> Iterator[Dataset]:
    with Dataset(stack.settings) as made:
        yield made


@pytest.fixture
def own(stack: EmbeddedStack) -> Iterator[Callable[..., Owner]]:
    """Start owners of the one slot; they are closed at the end. Their own topics only: others share the stack."""
    owners: list[Owner] = []

    def start(dataset: Dataset, sink: Callable[[Warehouse], Sink] = ClickHouseSink) -> Owner:
        mine = {f"{dataset.name}.valid", f"{dataset.name}.quarantine"}
        told: list[Progress] = []
        spans: list[SpanRecord] = []
        tools = SlotTools(
            client=stack.settings.kafka_client(),
            registry=dataset.registry,
            sink=lambda: sink(Warehouse(stack.settings)),
            tracer=FileTracer(spans.append),
            tell=told.append,
            target_of=lambda topic: target_of(topic) if topic in mine else None,
        )
        owner = Owner(SinkSlot(tools, slot=0, slots=1), told, spans)
        owners.append(owner)
        return owner

    yield start
    for owner in owners:
        owner.close()


class DiesBefore(ClickHouseSink):
    """Dies when a block is to be inserted: the intent is committed, the rows are not there."""

    def insert(self, block: Block) -> None:
        raise DiedError


class DiesAfter(ClickHouseSink):
    """Dies when a block was inserted: nobody was told."""

    def insert(self, block: Block) -> None:
        super().insert(block)
        raise DiedError


def test_sink_stores_every_row_with_its_place_and_trace(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(3)
    owner = own(dataset)
    owner.until(dataset.stored)
    query = (
        f"SELECT number, _file, _row, _topic, _partition, _offset, _trace FROM headrace.{dataset.name} ORDER BY _row"
    )
    topic, trace = f"{dataset.name}.valid", trace_id(dataset.name, FILE)
    assert dataset.warehouse.rows(query) == [(n, FILE, n, topic, 0, n, trace) for n in range(3)]
    owner.until(lambda: bool(owner.spans))
    assert {(span.name, span.trace_id) for span in owner.spans} == {("store", trace)}


def test_block_of_several_files_is_one_span_that_links_to_those_that_judged_them(
    dataset: Dataset, own: Callable[..., Owner]
) -> None:
    files = ["0" * 16, "1" * 16, "2" * 16]
    for number, file in enumerate(files, 1):
        dataset.publish(3, file=file, span=f"{number:016x}")
    owner = own(dataset)
    owner.until(dataset.stored)
    owner.until(lambda: len(owner.spans) >= 4)
    (block,) = [span for span in owner.spans if span.name == "store batch"]
    traces = [trace_id(dataset.name, file) for file in files]
    assert {(link.trace_id, link.span_id) for link in block.links} == {
        (trace, f"{number:016x}") for number, trace in enumerate(traces, 1)
    }
    assert (block.kind, block.attributes["db.operation.batch.size"]) == (Kind.CLIENT, 9)
    stored = {span.trace_id: span for span in owner.spans if span.name == "store"}
    for number, trace in enumerate(traces, 1):
        assert stored[trace].parent_span_id == f"{number:016x}"
        assert [(link.trace_id, link.span_id) for link in stored[trace].links] == [(block.trace_id, block.span_id)]
        told = stored[trace].attributes
        assert (told["db.system.name"], told["db.collection.name"]) == ("clickhouse", dataset.name)
        for name in ("headrace.first_offset", "headrace.last_offset"):
            assert told[name] == block.attributes[name]


def test_lag_is_0_at_the_end_although_offsets_have_gaps(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(5)
    dataset.publish(5, abort=True)
    dataset.publish(5)
    owner = own(dataset)
    owner.until(lambda: dataset.stored() and owner.told[-1].lag == 0)
    assert dataset.counts() == (10, 10)


@pytest.mark.parametrize("death", [DiesBefore, DiesAfter])
def test_rows_are_stored_once_when_the_sink_dies_around_an_insert(
    death: type[ClickHouseSink], dataset: Dataset, own: Callable[..., Owner]
) -> None:
    dataset.publish(100)
    first = own(dataset, death)
    with pytest.raises(DiedError):
        first.until(lambda: False)
    dataset.publish(50)
    own(dataset).until(dataset.stored)
    assert dataset.counts() == (150, 150)


def test_repeat_keeps_its_token_although_more_has_come(dataset: Dataset, own: Callable[..., Owner]) -> None:
    """The dead owner's INSERT may reach the warehouse after the new owner looked: only the token holds it off."""
    dataset.publish(100)
    caught: list[Block] = []

    class Loses(ClickHouseSink):
        def insert(self, block: Block) -> None:
            caught.append(block)
            raise DiedError

    with pytest.raises(DiedError):
        own(dataset, Loses).until(lambda: False)
    dataset.publish(50)
    own(dataset).until(dataset.stored)
    ClickHouseSink(dataset.warehouse).insert(caught[0])
    assert dataset.counts() == (150, 150)


class Keeps(ClickHouseSink):
    """Keeps what it inserts."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__(warehouse)
        self.blocks: list[Block] = []

    def insert(self, block: Block) -> None:
        super().insert(block)
        self.blocks.append(block)


def written_parts(dataset: Dataset) -> list[tuple[int, ...]]:
    """The rows of each part that an INSERT wrote, merged since or not: ClickHouse keeps those for minutes."""
    query = "SELECT rows FROM system.parts WHERE database = 'headrace' AND `table` = {t:String} AND level = 0"
    return sorted(dataset.warehouse.rows(query, {"t": dataset.name}))


def test_block_is_one_insert_and_one_part_up_to_100_000_rows(dataset: Dataset, own: Callable[..., Owner]) -> None:
    sinks: list[Keeps] = []

    def keeping(warehouse: Warehouse) -> Keeps:
        sinks.append(Keeps(warehouse))
        return sinks[-1]

    dataset.publish(BLOCK_ROWS + 17)
    dataset.publish(1)
    own(dataset, keeping).until(dataset.stored)
    inserted = [block for sink in sinks for block in sink.blocks]
    # A busy machine fetches less at once than a block may hold.
    assert 10_000 < max(block.rows for block in inserted) <= BLOCK_ROWS == 100_000
    assert len({block.token for block in inserted}) == len(inserted)
    assert written_parts(dataset) == sorted((block.rows,) for block in inserted)
    assert dataset.counts() == (BLOCK_ROWS + 18, BLOCK_ROWS + 18)


def test_parts_would_be_many_without_the_settings_of_one_block(
    dataset: Dataset, own: Callable[..., Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above: it can fail."""
    for name in ("max_insert_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes"):
        monkeypatch.setitem(ONE_BLOCK, name, 1_000)
    dataset.publish(BLOCK_ROWS)
    own(dataset).until(dataset.stored)
    assert len(written_parts(dataset)) > 1


def test_former_owner_is_fenced_before_it_can_insert_anything_new(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(10)
    zombie = own(dataset)
    zombie.until(dataset.stored)
    owner = own(dataset)
    dataset.publish(10)
    with pytest.raises(ProducerFenced):
        zombie.until(lambda: False)
    owner.until(dataset.stored)
    assert dataset.counts() == (20, 20)


def test_insert_of_a_former_owner_that_wakes_late_changes_nothing(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(10)
    reached, wake = threading.Event(), threading.Event()

    class Sleeps(ClickHouseSink):
        def insert(self, block: Block) -> None:
            reached.set()
            assert wake.wait(LIMIT_SECS)
            super().insert(block)

    zombie = own(dataset, Sleeps)
    zombie.until(reached.is_set)
    dataset.publish(10)
    own(dataset).until(dataset.stored)
    wake.set()
    zombie.close()
    assert dataset.counts() == (20, 20)


def test_sink_waits_for_a_warehouse_that_does_not_answer(dataset: Dataset, own: Callable[..., Owner]) -> None:
    failures, back = [0], threading.Event()

    class Away(ClickHouseSink):
        def insert(self, block: Block) -> None:
            if not back.is_set():
                failures[0] += 1
                raise ServiceUnreachable("away")
            super().insert(block)

    dataset.publish(10)
    owner = own(dataset, Away)
    owner.until(lambda: failures[0] >= 2)
    owner.until(lambda: bool(owner.told) and owner.told[-1].lag >= 10)
    back.set()
    owner.until(dataset.stored)
    assert dataset.counts() == (10, 10)


def test_table_that_forgets_tokens_is_refused_and_mended_by_the_hint(
    dataset: Dataset, own: Callable[..., Owner]
) -> None:
    warehouse = dataset.warehouse
    dataset.publish(10)
    own(dataset).until(dataset.stored)
    setting = f"ALTER TABLE headrace.{dataset.name} MODIFY SETTING non_replicated_deduplication_window"
    warehouse.execute(f"{setting} = 0")
    dataset.publish(10)
    owner = own(dataset)
    owner.until(lambda: owner.halted(dataset))
    assert dataset.counts() == (10, 10)
    warehouse.execute(f"{setting} = 10000")
    owner.until(dataset.stored)
    assert dataset.counts() == (20, 20)


def test_new_schema_widens_the_table_before_its_first_row(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(2)
    owner = own(dataset)
    owner.until(dataset.stored)
    wide = dataclasses.replace(
        dataset.schema, data_fields=(*dataset.schema.data_fields, RecordField("price", FieldType.DOUBLE, "Price €"))
    )
    dataset.publish(2, schema=wide)
    dataset.publish(1)
    owner.until(dataset.stored)
    rows = dataset.warehouse.rows(f"SELECT _row, price FROM headrace.{dataset.name} ORDER BY _row")
    assert rows == [(0, None), (1, None), (2, 2.0), (3, 3.0), (4, None)]


def test_changed_type_halts_the_partition_and_alters_nothing(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(2)
    owner = own(dataset)
    owner.until(dataset.stored)
    dataset.warehouse.execute(f"ALTER TABLE headrace.{dataset.name} MODIFY COLUMN number Nullable(String)")
    dataset.publish(2)
    again = own(dataset)
    again.until(lambda: again.halted(dataset))
    assert dataset.counts() == (2, 2)


def test_rows_that_retention_deleted_halt_the_partition(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.publish(10)
    own(dataset).until(dataset.stored)
    dataset.publish(10)
    place = TopicPartition(f"{dataset.name}.valid", 0, 15)
    admin = AdminClient(dict(dataset.settings.kafka_client()))
    for future in admin.delete_records([place]).values():
        future.result(LIMIT_SECS)
    owner = own(dataset)
    owner.until(lambda: owner.halted(dataset))
    assert dataset.counts() == (10, 10)


def test_foreign_message_halts_its_partition_and_no_other(dataset: Dataset, own: Callable[..., Owner]) -> None:
    dataset.writer.begin()
    dataset.writer.write(f"{dataset.name}.valid", [b"not ours"], partition=0)
    dataset.writer.commit()
    owner = own(dataset)
    owner.until(lambda: owner.halted(dataset))
    assert f"{dataset.name}.quarantine/0" not in owner.told[-1].halted


def test_rows_are_stored_once_over_real_kills(dataset: Dataset) -> None:
    environment = environment_of(dataset.settings)
    command = [sys.executable, "-m", "headrace.sinks.app"]
    deadline = time.monotonic() + LIMIT_SECS
    for _kill in range(3):
        process = subprocess.Popen(command, env=environment)
        before = dataset.rows
        try:
            for _batch in range(6):
                dataset.publish(4_000)
            while dataset.rows_there() <= before and time.monotonic() < deadline:
                pass
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    dataset.publish(10)
    process = subprocess.Popen(command, env=environment)
    try:
        while dataset.rows_there() < dataset.rows and time.monotonic() < deadline:
            pass
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert dataset.counts() == (dataset.rows, dataset.rows)
