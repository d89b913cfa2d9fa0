"""What the judge has to know of a message before it can judge it: its record schema and its contract."""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.errors import ContractInvalid, SchemaRefused
from headrace.observability.events import emit
from headrace.observability.window_events import SchemaUnreadable
from headrace.schemas.codec import polars_schema
from headrace.schemas.contract import Contract
from headrace.schemas.record import RecordSchema
from headrace.schemas.registry import Registry


@dataclass(frozen=True)
class Refusal:
    """Why messages cannot be judged: they are not ours, and go to quarantine as they are."""

    reason: Reason
    detail: str


def registered_schema(registry: Registry, schema_id: int) -> RecordSchema | None:
    """Return a registered record schema, None for one that nobody knows or that is no record's: that one is told.

    Blocks; raises ServiceUnreachable.
    """
    try:
        return registry.record_schema(schema_id)
    except SchemaRefused as error:
        emit(SchemaUnreadable(schema_id=schema_id, cause=str(error)))
        return None


class SchemaTexts(Protocol):
    """The registry, as far as it is needed here."""

    def text_of(self, schema_id: int) -> str | None:
        """Return the text of a schema id, None if the registry does not know it."""


class Contracts(Protocol):
    """The contract store, as far as it is needed here."""

    def current(self, dataset: str) -> Contract | None:
        """Return the contract in force."""

    def by_version(self, dataset: str, version: str) -> Contract | None:
        """Return a contract as it was law at some time."""

    def record(self, contract: Contract) -> None:
        """Make sure that the version can be found later."""


class Lookups:
    """Finds schemas and contracts and keeps what was found; what was not found is asked again in the next batch.

    May block for a round trip to the registry or to Kafka. Raises ServiceUnreachable, never for what messages say.
    """

    def __init__(self, registry: SchemaTexts, contracts: Contracts) -> None:
        self._registry = registry
        self._contracts = contracts
        self._schemas: dict[int, RecordSchema | Refusal] = {}
        self._by_version: dict[tuple[str, str], Contract] = {}
        self._fits: dict[tuple[int, str, str], Refusal | None] = {}
        self._unknown: dict[int, Refusal] = {}

    def begin_batch(self) -> None:
        """Forget which schema ids were unknown: they may have been registered since."""
        self._unknown.clear()

    def record_schema(self, schema_id: int, dataset: str) -> RecordSchema | Refusal:
        """Return the record schema of an id, or why messages of that id are not records of this dataset."""
        found = self._schemas.get(schema_id) or self._unknown.get(schema_id) or self._find_schema(schema_id)
        if isinstance(found, RecordSchema) and found.dataset != dataset:
            return Refusal(Reason.FOREIGN, f'schema {schema_id} is of dataset "{found.dataset}"')
        return found

    def _find_schema(self, schema_id: int) -> RecordSchema | Refusal:
        text = self._registry.text_of(schema_id)
        if text is None:
            refusal = Refusal(Reason.UNKNOWN_SCHEMA, f"the registry does not know schema {schema_id}")
            self._unknown[schema_id] = refusal
            return refusal
        self._schemas[schema_id] = found = _read_schema(schema_id, text)
        return found

    def contract(self, dataset: str, version: str) -> Contract | Refusal:
        """Return the contract that a message names; of one that names none, the contract in force now."""
        if not version:
            return self._current(dataset)
        if contract := self._by_version.get((dataset, version)):
            return contract
        found = self._contracts.by_version(dataset, version)
        if found is None:
            return Refusal(Reason.FOREIGN, f'contract "{version}" of dataset "{dataset}" was never recorded')
        self._by_version[dataset, version] = found
        return found

    def _current(self, dataset: str) -> Contract | Refusal:
        nothing = f'the message names no contract, and dataset "{dataset}" has none in force'
        try:
            contract = self._contracts.current(dataset)
        except ContractInvalid as error:
            return Refusal(Reason.FOREIGN, f"{nothing} that can be followed: {error}")
        if contract is None:
            return Refusal(Reason.FOREIGN, nothing)
        self._contracts.record(contract)
        return contract

    def misfit(self, schema_id: int, schema: RecordSchema, contract: Contract) -> Refusal | None:
        """Return why records of a schema cannot be judged under a contract, None if they can."""
        key = (schema_id, contract.dataset, contract.version)
        if key not in self._fits:
            self._fits[key] = _find_misfit(schema, contract)
        return self._fits[key]


def _read_schema(schema_id: int, text: str) -> RecordSchema | Refusal:
    try:
        schema = RecordSchema.from_avro(text)
        polars_schema(schema)
    except (SchemaRefused, AttributeError, ValueError, pl.exceptions.PolarsError) as error:
        return Refusal(Reason.FOREIGN, f"schema {schema_id} is not one of records: {error}")
    return schema


def _find_misfit(schema: RecordSchema, contract: Contract) -> Refusal | None:
    written, wanted = polars_schema(schema), polars_schema(contract.record_schema)
    for field in contract.record_fields:
        if field.name in written and written[field.name] != wanted[field.name]:
            seen = f"{written[field.name]} in the schema and {wanted[field.name]} in the contract"
            return Refusal(Reason.FOREIGN, f'field "{field.name}" is {seen}')
    return None
