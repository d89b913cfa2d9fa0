"""What the ledger, the warehouse, the registry and manifests say of files, as messages of stage `facts`.

It is asked now and then by the quality app, in a thread; what it finds goes through quality.profiles, so that windows
stay a function of that topic alone. A file is told once its receipt is proved, or late, when it should be by now; a
skipped copy at once. Of datasets without rules about files nothing is told.
"""

import json
import math
import os
import stat
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from headrace.core.clock import micros
from headrace.core.vocabulary import FileState
from headrace.errors import (
    ContractInvalid,
    HeadraceError,
    ServiceUnreachable,
    Transient,
    WarehouseRefused,
)
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.ledger import FileEntry, read_entry
from headrace.schemas.registry import Registry
from headrace.schemas.sql_text import table_name
from headrace.schemas.topics import LEDGER, VALID, data_topic, value_subject
from headrace.settings import Settings
from headrace.stream_processors.background import HOLD_SECS, any_moves, is_in_flight
from headrace.stream_processors.checks.control_total import ROWS
from headrace.stream_processors.lookups import registered_schema
from headrace.stream_processors.refused_rows import SchemaOf, all_rows
from headrace.stream_processors.steps.file_facts import FileFacts, rules_of_files
from headrace.stream_processors.warehouse_verdicts import WarehouseVerdicts
from headrace.stream_processors.window_files import Told
from headrace.transport.kafka import CompactedTopic
from headrace.transport.warehouse import Warehouse

LATE_SECS: Final = 120.0
"""A file that was published so long ago and has no proved receipt is told as it is: some of its rows are missing."""
MOST_FILES: Final = 50
_SCHEMA_SECS: Final = 30.0
_REPLAYED: Final = frozenset({"replayed_file"})
_LARGEST_MANIFEST: Final = 64 * 1024
_REASON_CHARACTERS: Final = 200
_NOT_SHOWN: Final = "the warehouse refuses its figures"
_COUNTS: Final = """
SELECT file, sumIf(rows, place = 'stored'), sumIf(rows, place = 'judge') FROM (
    SELECT _file AS file, 'stored' AS place, count() AS rows FROM {table}
    WHERE _file IN {{files:Array(String)}} GROUP BY file
    UNION ALL
    SELECT _file AS file, toString(stage) AS place, count() AS rows FROM headrace.quarantine
    WHERE dataset = {{dataset:String}} AND _file IN {{files:Array(String)}} GROUP BY file, place
) GROUP BY file
"""


@dataclass(frozen=True)
class Due:
    """An entry of the ledger that is to be told; `id` is that of the telling."""

    id: str
    moment: int
    entry: FileEntry
    final: bool = True

    @property
    def settled(self) -> bool:
        """Return True if no later telling of this entry is to come."""
        return self.entry.balanced or self.entry.state is FileState.SKIPPED


class FileFeed:
    """Finds what is to be told of files. Calls block, and raise ServiceUnreachable.

    For one thread; another one may ask what is in flight meanwhile.
    """

    def __init__(self, settings: Settings, *, late_secs: float = LATE_SECS) -> None:
        self._settings, self._late_secs = settings, late_secs
        self._ledger = CompactedTopic(settings.kafka_client(), LEDGER)
        self._registry = Registry(settings)
        self._contracts = ContractStore(settings, settings.kafka_client(), self._registry)
        self._schema_ids: dict[str, tuple[float, int | None]] = {}
        self._entries: dict[str, dict[str, FileEntry]] = {}
        self._seen: dict[str, bytes] = {}
        self._reading = threading.Lock()

    def close(self) -> None:
        """Leave the ledger, the contracts and the registry."""
        self._ledger.close()
        self._contracts.close()
        self._registry.close()

    def refresh(self) -> None:
        """Read what changed in the ledger."""
        with self._reading:
            for key, message in self._ledger.refresh().items():
                if self._seen.get(key) is not message:
                    self._seen[key] = message
                    entry = read_entry(message)
                    self._entries.setdefault(entry.dataset, {})[key] = entry

    def in_flight(self, dataset: str) -> bool:
        """Return True if a file of a dataset is being read, or has rows that no receipt proves yet."""
        return any(is_in_flight(entry) for entry in list(self._entries.get(dataset, {}).values()))

    def idle(self, datasets: Iterable[str]) -> frozenset[str]:
        """Return the datasets of which the ledger says now that nothing is in flight; none if it cannot be asked."""
        try:
            self.refresh()
        except ServiceUnreachable:
            return frozenset()
        return frozenset(dataset for dataset in datasets if not self.in_flight(dataset))

    def look(
        self, wanted: Mapping[str, tuple[str, Told]], now: float
    ) -> tuple[dict[str, dict[str, Any]], dict[str, HeadraceError]]:
        """Return what is to be told of datasets, and why of others it must wait; `wanted` has contract and told.

        A service that is away is asked again another time, and so is a warehouse that refuses: the table of a dataset
        may not be there yet, and the windows must not wait for it.
        """
        found: dict[str, dict[str, Any]] = {}
        waiting: dict[str, HeadraceError] = {}
        try:
            self.refresh()
        except ServiceUnreachable as error:
            return found, dict.fromkeys(wanted, error)
        for dataset, (version, told) in wanted.items():
            try:
                new = self.facts(dataset, version, told, now)
            except HeadraceError as error:
                if not isinstance(error, Transient | WarehouseRefused):
                    raise
                waiting[dataset] = error
                continue
            if new is not None:
                found[dataset] = new
        return found, waiting

    def facts(self, dataset: str, version: str, told: Told, now: float) -> dict[str, Any] | None:
        """Return what a message of stage `facts` is to tell of a dataset, None if there is nothing new.

        `told` is what its windows have, `now` in seconds since 1970. A contract that cannot be followed asks for
        nothing: its windows tell that.
        """
        try:
            contract = self._contracts.by_version(dataset, version)
        except ContractInvalid:
            return None
        if contract is None:
            return None
        found: dict[str, Any] = {}
        checks = {rule.check for rule in contract.checks}
        if "schema_match" in checks and (schema_id := self._newest_schema(dataset, now)) != told.schema_id:
            found["schema_id"] = schema_id
        due = self._due(dataset, told, now) if rules_of_files(contract.checks) or _REPLAYED & checks else []
        if due and not self._held(due, now):
            found["files"] = self._files(contract, due)
        return found or None

    def _newest_schema(self, dataset: str, now: float) -> int | None:
        asked_at, schema_id = self._schema_ids.get(dataset, (0.0, None))
        if now - asked_at >= _SCHEMA_SECS:
            latest = self._registry.latest(value_subject(data_topic(dataset, VALID)))
            schema_id = None if latest is None else latest[0]
            self._schema_ids[dataset] = (now, schema_id)
        return schema_id

    def _held(self, due: Sequence[Due], now: float) -> bool:
        """Return True if the files wait a little, until nothing is on its way: to count whole files is dear."""
        oldest = min(one.moment for one in due) / 1e6
        moving = any_moves([entry for files in self._entries.values() for entry in files.values()], now)
        return moving and now - oldest < HOLD_SECS

    def _due(self, dataset: str, told: Told, now: float) -> list[Due]:
        entries, new = self._entries.get(dataset, {}), []
        for key, entry in list(entries.items()):
            one = self._telling(key, entry, now)
            if one is not None and not told.has(one.moment, one.id):
                new.append(one)
            elif one is not None and one.settled:
                del entries[key]
        return sorted(new, key=lambda one: one.moment)[:MOST_FILES]

    def _telling(self, key: str, entry: FileEntry, now: float) -> Due | None:
        moment = micros(entry.updated_at)
        name = f"{key.partition('/')[2]}@{moment}"
        if entry.state is FileState.SKIPPED:
            return Due(name, moment, entry)
        if entry.balanced:
            return Due(name, moment, entry, final=entry.state is not FileState.CHANGED)
        if entry.provable and moment / 1e6 + self._late_secs < now:
            # It becomes due later than others that were published then: by that moment it is remembered.
            return Due(f"{name}-late", moment + round(self._late_secs * 1e6), entry, final=False)
        return None

    def _files(self, contract: Contract, due: Sequence[Due]) -> list[dict[str, Any]]:
        # Refused rows without a schema are left out, and the file's rules say so.
        schema_of = partial(registered_schema, self._registry)
        whole = [one.entry.file for one in due if one.entry.state is not FileState.SKIPPED]
        with Warehouse(self._settings, session=True, background=True) as warehouse:
            tables = _Tables(warehouse, contract, schema_of) if whole else None
            known = tables.of(whole) if tables else {}
        manifests, asked = self._settings.paths().manifests / contract.dataset, totals_asked(contract.checks)
        found = []
        for one in due:
            totals = totals_of(manifests, one.entry.name, asked)
            facts = _told(one, known.get(one.entry.file), totals)
            found.append({"moment": one.moment, "final": one.final, "facts": vars(facts)})
        return found


@dataclass(frozen=True)
class _Found:
    """What the tables hold of a file: stored rows, rows the judge refused, figures by rule, and why some have none."""

    stored: int
    refused: int
    figures: Mapping[str, Mapping[str, int]]
    missing: Mapping[str, str]


class _Tables:
    """Asks the tables about whole files."""

    def __init__(self, warehouse: Warehouse, contract: Contract, schema_of: SchemaOf) -> None:
        self._warehouse, self._schema_of = warehouse, schema_of
        # What no rule about files asks for is not counted.
        self._contract = replace(contract, checks=tuple(rules_of_files(contract.checks)))

    def of(self, files: Sequence[str]) -> dict[str, _Found]:
        """Return what the tables hold of files: exact figures over stored and refused rows."""
        dataset = self._contract.dataset
        source = all_rows(self._warehouse, dataset, self._schema_of, files)
        verdicts = WarehouseVerdicts(self._warehouse, self._contract, _no_contract, 0.0, source)
        figures = verdicts.figures_of(files)
        counted = self._counts(files)
        rules = self._contract.checks
        missing = refusals(self._contract, verdicts.refused)
        if source.left_out:
            why = f"{source.left_out:,} refused rows cannot be counted: too many, too large, or unknown schemas"
            missing |= {rule.id: why for rule in rules if rule.check != "sink_reconcile"}
        return {file: self._found(file, figures, counted, rules, missing) for file in files}

    def _found(
        self,
        file: str,
        figures: Mapping[str, tuple[int, Mapping[str, Mapping[str, int]]]],
        counted: Mapping[str, tuple[int, int]],
        rules: Iterable[Any],
        missing: Mapping[str, str],
    ) -> _Found:
        stored, refused = counted.get(file, (0, 0))
        own = figures.get(file, (0, {}))[1]
        return _Found(stored, refused, {rule.id: own[rule.id] for rule in rules if rule.id in own}, missing)

    def _counts(self, files: Sequence[str]) -> dict[str, tuple[int, int]]:
        dataset = self._contract.dataset
        query = _COUNTS.format(table=table_name(dataset))
        rows = self._warehouse.rows(query, {"dataset": dataset, "files": list(files)})
        return {str(file): (int(stored), int(refused)) for file, stored, refused in rows}


def _no_contract(_version: str) -> Contract | None:
    return None


def refusals(contract: Contract, refused: Mapping[str, str]) -> dict[str, str]:
    """Return why rules about files have no figures, by id: in few words, and without any of a personal field's."""
    personal = {field.name for field in contract.fields if field.personal}
    return {
        rule.id: _NOT_SHOWN if personal & {*rule.fields} else refused[rule.id][:_REASON_CHARACTERS]
        for rule in rules_of_files(contract.checks)
        if rule.id in refused
    }


def _told(due: Due, found: _Found | None, totals: Mapping[str, float]) -> FileFacts:
    entry = due.entry
    # A copy has the id of the file whose bytes it has, and no rows of its own: both may be told at once.
    if found is None or entry.state is FileState.SKIPPED:
        return FileFacts(due.id, entry.file, entry.name, first_name=entry.first_name)
    stages = {
        "consumed": entry.rows_published - entry.rows_unreadable,
        "quarantined": found.refused,
        "inserted": found.stored,
    }
    return FileFacts(
        due.id,
        entry.file,
        entry.name,
        rows=found.stored + found.refused,
        file_rows=entry.rows_read,
        stages=stages,
        totals=totals,
        figures=found.figures,
        missing=found.missing,
    )


def totals_asked(rules: Iterable[CheckRule]) -> frozenset[str]:
    """Return the names of the totals that rules compare with: fields, and "rows"."""
    return frozenset({ROWS, *(rule.fields[0] for rule in rules if rule.check == "control_total" and rule.fields)})


def totals_of(folder: Path, name: str, asked: Collection[str]) -> dict[str, float]:
    """Return those `asked` of a sender's manifest of a file, `{"rows": 3, "amount": 12.5}`; {} without one.

    It is `HOME/manifests/<dataset>/<file name>.json`, a plain file of at most 64 KiB; anything else there is none: the
    rule that asks for it is then not checked, and says so. So is one whose total is no finite number.
    """
    try:
        descriptor = os.open(folder / f"{name}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return {}
        text = stream.read(_LARGEST_MANIFEST + 1)
    try:
        values = json.loads(text) if len(text) <= _LARGEST_MANIFEST else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    found = {key: _finite(values[key]) for key in sorted(asked) if key in values}
    return {key: value for key, value in found.items() if value is not None}


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
