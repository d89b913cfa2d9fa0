"""Where contracts are kept: the home's folder is the law of today, the topic system.contracts every law there was."""

import os
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from headrace.core.clock import Clock, micros, utc_now
from headrace.core.identity import check_dataset_name
from headrace.errors import ContractInvalid
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.problems import ContractProblems
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import CONTRACTS
from headrace.settings import Paths, Settings
from headrace.transport.kafka import CompactedTopic
from headrace.transport.plain import write_plainly

SUFFIX = ".odcs.yaml"
_SCHEMA = "contract_text"
_SAVING_SECS = 1.0
_SAVING_STEPS = 10


def shipped_contract(dataset: str) -> str | None:
    """Return the text of the contract that comes with headrace, None for a dataset it does not know."""
    found = resources.files("headrace.schemas").joinpath(f"contracts/{check_dataset_name(dataset)}{SUFFIX}")
    return found.read_text(encoding="utf-8") if found.is_file() else None


def contract_path(paths: Paths, dataset: str) -> Path:
    """Return where a home keeps the contract of a dataset."""
    return paths.contracts / f"{check_dataset_name(dataset)}{SUFFIX}"


def read_contract(path: Path) -> Contract:
    """Return the contract in a file; raises ContractInvalid if it is not one, OSError if it cannot be read."""
    return _parsed(path.read_bytes(), path)


def _parsed(content: bytes, path: Path) -> Contract:
    try:
        return parse_contract(content.decode("utf-8-sig"), path.name, str(path))
    except UnicodeDecodeError as error:
        raise ContractProblems(path.name, [f"it is not UTF-8: byte {error.start}"], str(path)) from error


class ContractStore:
    """The contracts of a home. Not for use from several threads; topic reads and writes may block."""

    def __init__(
        self, settings: Settings, client: Mapping[str, str], registry: Registry, *, clock: Clock = utc_now
    ) -> None:
        self._paths = settings.paths()
        self._client = client
        self._registry = registry
        self._clock = clock
        self._topic: CompactedTopic | None = None
        self._known: dict[tuple[str, str], Contract] = {}
        self._parsed: dict[str, tuple[bytes, Contract]] = {}

    def current(self, dataset: str) -> Contract | None:
        """Return the contract that a file claimed now is judged by, None if there is none yet.

        A shipped contract is copied to the home when it is first asked for; from then on the home's copy is the law.
        Raises ContractInvalid if the file cannot be followed; one that was written within the last second is given
        that second first. Reads the file every time: an edit holds at once; the same bytes are parsed once, since
        that takes 20 ms and small files come by the hundred.
        """
        path = contract_path(self._paths, dataset)
        try:
            contract = self._parse(dataset, path)
        except FileNotFoundError:
            text = shipped_contract(dataset)
            return None if text is None else self._save(parse_contract(text, path.name))
        if contract.dataset != dataset:
            message = f'contract {path.name}: its schema is named "{contract.dataset}", the file "{dataset}"'
            raise ContractInvalid(message, hint=f"set schema[0].name to {dataset}, or rename the file")
        return contract

    def _parse(self, dataset: str, path: Path) -> Contract:
        for _ in range(_SAVING_STEPS):
            content = path.read_bytes()
            before = self._parsed.get(dataset)
            if before is not None and before[0] == content:
                return before[1]
            try:
                self._parsed[dataset] = (content, _parsed(content, path))
            except ContractInvalid:
                # An editor that writes in place leaves half a document for a moment: no reason to reject a file.
                if time.time() - path.stat().st_mtime > _SAVING_SECS:
                    raise
                time.sleep(_SAVING_SECS / _SAVING_STEPS)
        return _parsed(path.read_bytes(), path)

    def save_draft(self, contract: Contract) -> Contract:
        """Write a contract to the home unless there is one, and return the one that is there afterwards."""
        return self._save(contract)

    def record(self, contract: Contract) -> None:
        """Make sure that system.contracts holds this version. Returns after the broker has it; may be repeated."""
        if self.by_version(contract.dataset, contract.version) is not None:
            return
        value = {
            "dataset": contract.dataset,
            "version": contract.version,
            "text": contract.text,
            "drafted": contract.drafted,
            "registered_at": micros(self._clock()),
        }
        framed = frame_system(_SCHEMA, self._registry.system_id(CONTRACTS, _SCHEMA), value)
        write_plainly(self._client, CONTRACTS, _key(contract.dataset, contract.version).encode(), framed)
        self._known[contract.dataset, contract.version] = contract

    def by_version(self, dataset: str, version: str) -> Contract | None:
        """Return a contract as it was law at some time, from system.contracts; None if it never was."""
        known = self._known.get((dataset, version))
        if known is not None:
            return known
        if self._topic is None:
            self._topic = CompactedTopic(self._client, CONTRACTS)
        message = self._topic.refresh().get(_key(dataset, version))
        if message is None:
            return None
        schema_id = schema_id_of(message)
        writer = None if schema_id is None else self._registry.text_of(schema_id)
        value = read_system(_SCHEMA, message, writer)
        contract = parse_contract(value["text"], _key(dataset, version))
        self._known[dataset, version] = contract
        return contract

    def close(self) -> None:
        """Leave the topic. Nothing has to be committed."""
        if self._topic is not None:
            self._topic.close()
            self._topic = None

    def _save(self, contract: Contract) -> Contract:
        """Write a file that must not be there yet: whole or not at all, and never over somebody's edit."""
        path = contract_path(self._paths, contract.dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        try:
            draft.write_bytes(contract.text.encode())
            os.link(draft, path)
        except FileExistsError:
            return read_contract(path)
        finally:
            draft.unlink(missing_ok=True)
        return contract


def _key(dataset: str, version: str) -> str:
    return f"{dataset}/{version}"
