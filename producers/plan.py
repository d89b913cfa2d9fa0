"""How one file will be read and published: its reader, the contract in force, the record schema, the partition."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.core.identity import stable_slot
from headrace.observability.events import emit
from headrace.observability.file_events import PartitionsKept
from headrace.producers.claim import ClaimedFile
from headrace.producers.readers.base import HEAD_BYTES, Layout, Part, Reader, ReadFrame, ReadOptions
from headrace.producers.readers.registry import reader_for
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.draft import draft_contract
from headrace.schemas.infer import match_columns, merge_new_columns
from headrace.schemas.ledger import FileEntry
from headrace.schemas.record import RecordSchema
from headrace.schemas.registry import Registry
from headrace.schemas.topics import QUARANTINE, RAW, VALID, data_topic, dataset_topics, value_subject
from headrace.settings import Settings
from headrace.transport.kafka import Topics

# So many new columns are named in a receipt.
_NAMED = 20
# A record schema, its id, and the position of each field's column in the file.
_Found = tuple[RecordSchema, int, Mapping[str, int]]


@dataclass(frozen=True)
class Plan:
    """What holds for a whole file, from its first frame to its last and over every kill between them."""

    contract_version: str
    tolerance: float
    owner: str
    format: str
    schema: RecordSchema
    schema_id: int
    partition: int
    frames: Callable[[int, int], Iterator[ReadFrame]]
    new_columns: tuple[str, ...] = ()

    @property
    def remark(self) -> str:
        """Return what is to be said of columns that the contract does not know, empty if there are none."""
        if not self.new_columns:
            return ""
        more = len(self.new_columns) - _NAMED
        names = ", ".join(self.new_columns[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        action = f"headrace contract show {self.schema.dataset} gives the lines that make them law"
        return f"taken in without rules, since the contract does not know them: {names}; {action}"


class Planner(Protocol):
    """Makes plans. A seam, so that the way of a file can be tested without services."""

    def plan(self, claimed: ClaimedFile, resumed: FileEntry | None) -> Plan:
        """Return the plan of a file, for one begun before the same as then.

        Raises FileRefused, ContractInvalid or SchemaRefused, after which the file is rejected, and ServiceUnreachable.
        """
        ...


class FilePlanner:
    """Plans with the contracts of the home and the schemas of the registry. May block on both, and on the file."""

    def __init__(self, settings: Settings, registry: Registry, contracts: ContractStore, topics: Topics) -> None:
        self._settings = settings
        self._registry = registry
        self._contracts = contracts
        self._topics = topics
        self._ensure = functools.cache(self._ensure_topics)
        self._schemas: dict[str, dict[tuple[str, tuple[str, ...]], _Found]] = {}

    def plan(self, claimed: ClaimedFile, resumed: FileEntry | None) -> Plan:
        """Return the plan of a file (see Planner)."""
        stream = claimed.stream
        stream.seek(0)
        reader = reader_for(claimed.name, stream.read(HEAD_BYTES))
        contract = self._contract_of(claimed.dataset, resumed)
        layout = reader.open(stream, options_of(contract))
        if contract is None:
            contract = self._contracts.save_draft(draft_contract(claimed.dataset, reader.sample(stream, layout)))
            layout = reader.open(stream, options_of(contract))
        self._contracts.record(contract)
        partitions = self._ensure(claimed.dataset, contract.partitions)
        schema, schema_id, columns = self._schema(claimed, reader, layout, contract, resumed)
        known = {field.name for field in contract.fields}
        partition = stable_slot(claimed.sha256, partitions)
        return Plan(
            contract_version=contract.version,
            tolerance=contract.tolerance,
            owner=contract.owner,
            format=reader.format,
            schema=schema,
            schema_id=schema_id,
            partition=partition if resumed is None or resumed.partition is None else resumed.partition,
            frames=lambda row, byte: reader.frames(
                stream, layout, schema, columns, Part(row, byte, self._settings.frame_rows)
            ),
            new_columns=tuple(name for name in columns if name not in known),
        )

    def _contract_of(self, dataset: str, resumed: FileEntry | None) -> Contract | None:
        if resumed is not None and resumed.contract_version:
            then = self._contracts.by_version(dataset, resumed.contract_version)
            if then is not None:
                return then
        return self._contracts.current(dataset)

    def _schema(
        self, claimed: ClaimedFile, reader: Reader, layout: Layout, contract: Contract, resumed: FileEntry | None
    ) -> _Found:
        """Return the record schema, its id, and the position of each field's column in the file."""
        if resumed is not None and resumed.schema_id is not None:
            then = self._registry.record_schema(resumed.schema_id)
            if then is not None:
                return then, resumed.schema_id, match_columns(layout.columns, then.data_fields)
        known = (contract.version, layout.columns)
        if known in self._schemas.get(claimed.dataset, {}):
            return self._schemas[claimed.dataset][known]
        raw = value_subject(data_topic(claimed.dataset, RAW))
        latest = self._registry.latest(raw)
        schema = merged_schema(contract, RecordSchema.from_avro(latest[1]) if latest else None)
        columns = match_columns(layout.columns, schema.data_fields)
        if len(columns) < len(layout.columns):
            # Only columns that nobody knows are worth reading 64 MiB of the file twice.
            schema = merge_new_columns(schema, reader.sample(claimed.stream, layout))
            columns = match_columns(layout.columns, schema.data_fields)
        text = schema.text()
        schema_id = self._registry.register(raw, text)
        self._registry.register(value_subject(data_topic(claimed.dataset, VALID)), text)
        self._registry.system_id(data_topic(claimed.dataset, QUARANTINE), "quarantined_row")
        if latest is None or latest[1] != text:
            # Files with fewer columns go on under the widest schema too, so that batches hold one.
            self._schemas[claimed.dataset] = {}
        self._schemas.setdefault(claimed.dataset, {})[known] = schema, schema_id, columns
        return schema, schema_id, columns

    def _ensure_topics(self, dataset: str, partitions: int) -> int:
        """Make sure of a dataset's topics; return how many partitions they have, perhaps more than asked for."""
        specs = dataset_topics(dataset, partitions=partitions, retention_bytes=self._settings.retention_bytes)
        kept = min(self._topics.ensure(specs).values())
        if kept > partitions:
            emit(PartitionsKept(dataset=dataset, asked=partitions, kept=kept))
        return kept


def merged_schema(contract: Contract, known: RecordSchema | None) -> RecordSchema:
    """Return the contract's fields, and after them those that earlier files brought and the contract does not name."""
    own = contract.record_fields
    names = {field.name for field in own}
    extras = () if known is None else tuple(field for field in known.data_fields if field.name not in names)
    return RecordSchema(contract.dataset, (*own, *extras))


def options_of(contract: Contract | None) -> ReadOptions:
    """Return what a contract says about how a file is to be read; nothing, where there is none."""
    if contract is None:
        return ReadOptions()
    return ReadOptions(
        delimiter=contract.format.delimiter,
        null_values=contract.format.null_values,
        field_null_values={field.name: field.null_values for field in contract.fields if field.null_values},
        zones={field.name: field.zone for field in contract.fields if field.zone},
    )
