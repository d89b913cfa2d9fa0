"""The sink's write-ahead intents: which range it is about to insert, on sink.blocks, before it does."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from headrace.schemas.system import frame_system, read_system
from headrace.schemas.topics import BLOCKS
from headrace.sinks.base import Block, block_token
from headrace.transport.kafka import CompactedTopic, TransactionalWriter
from headrace.transport.partition_reader import Place

SCHEMA = "sink_block"


@dataclass(frozen=True)
class Intent:
    """The last block of a partition that an insert was begun for: fields of schemas/avro/system/sink_block.avsc."""

    topic: str
    partition: int
    first: int
    last: int
    schema_id: int
    rows: int
    token: str
    slot: int

    @property
    def place(self) -> Place:
        """Return the partition."""
        return Place(self.topic, self.partition)

    @classmethod
    def of(cls, block: Block, slot: int) -> "Intent":
        """Return the intent of a block."""
        topic, partition = block.place
        token = block_token(block.place, block.first, block.last)
        return cls(topic, partition, block.first, block.last, block.schema_id, block.rows, token, slot)


def read_intents(client: Mapping[str, str]) -> dict[Place, Intent]:
    """Return the last intent of every partition. Call it after the slot's writer is initialised: then it is final.

    Raises ServiceUnreachable.
    """
    topic = CompactedTopic(client, BLOCKS)
    try:
        found = [Intent(**read_system(SCHEMA, message)) for message in topic.refresh_to_end().values()]
    finally:
        topic.close()
    return {intent.place: intent for intent in found}


def write_intents(writer: TransactionalWriter, schema_id: int, intents: Iterable[Intent]) -> None:
    """Commit intents, one a partition, in one transaction; raises ProducerFenced or TransactionFailed."""
    writer.begin()
    for intent in intents:
        message = frame_system(SCHEMA, schema_id, asdict(intent))
        writer.write(BLOCKS, [message], partition=0, key=str(intent.place).encode())
    writer.commit()
