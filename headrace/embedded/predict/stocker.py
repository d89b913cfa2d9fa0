"""Puts on the rack what ml.snapshots holds: of each learner of the home the champion of its newest snapshot."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import NamedTuple, Protocol

from headrace.embedded.predict.rack import Rack, Shelf
from headrace.embedded.predict.served import Served
from headrace.errors import ContractInvalid, HeadraceError
from headrace.observability.events import StageWaits, emit
from headrace.observability.learner_events import ChampionServed, SnapshotNotServed
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.learner_store import declared_learners
from headrace.schemas.model_catalog import UNLOADABLE
from headrace.schemas.registry import Registry
from headrace.schemas.topics import SNAPSHOTS
from headrace.settings import Paths, Settings
from headrace.stream_processors.learner_models import packages_of
from headrace.stream_processors.snapshots import Snapshot
from headrace.stream_processors.snapshots import Snapshots as TopicSnapshots
from headrace.stream_processors.steps.learn import State
from headrace.transport.kafka import CompactedTopic

NAME = "predict"
LOOK_SECS = 1.0

Contracts = Callable[[str], Contract | None]


class Snapshots(Protocol):
    """The committed snapshots, as far as they are needed here."""

    def of(self, learner: str) -> list[Snapshot]:
        """Return the snapshots of a learner that are whole, oldest first."""

    def state(self, snapshot: Snapshot, packages: Iterable[str]) -> State:
        """Return the state; raises SnapshotRefused."""


class _Tried(NamedTuple):
    """A snapshot that was refused under a contract: asked again it would be refused again."""

    learner: str
    name: str
    sha256: str
    contract: str


class Stocker:
    """Makes the next shelf from the one there is. Not for use from several threads."""

    def __init__(self, paths: Paths, contracts: Contracts) -> None:
        self._paths, self._contracts = paths, contracts
        self._refused: dict[_Tried, str] = {}

    def stock(self, before: Shelf, found: Snapshots, now: float) -> Shelf:
        """Return what is to be served: of each learner of the home its newest snapshot that can be read.

        One that is refused is told once, and what was served before stays. A learner whose file is gone goes too.
        """
        declared = declared_learners(self._paths)
        served: dict[str, Served] = {}
        problems: dict[str, str] = {}
        for name in sorted(declared):
            old = before.served.get(name)
            one, problem = self._choose(old, found, name)
            if one is not None:
                served[name] = one
                if one is not old:
                    emit(ChampionServed(learner=name, snapshot=one.snapshot.name, model=one.champion.name))
            if problem:
                problems[name] = problem
        return Shelf(served, problems, declared, now)

    def _choose(self, old: Served | None, found: Snapshots, name: str) -> tuple[Served | None, str]:
        """Return what is served of a learner, and why it is not the newest snapshot where it is not."""
        problem = ""
        for snapshot in reversed(found.of(name)):
            if old is not None and (old.snapshot.name, old.snapshot.sha256) == (snapshot.name, snapshot.sha256):
                return old, problem
            made = self._load(found, snapshot)
            if isinstance(made, Served):
                return made, problem
            problem = problem or made
            if old is not None:
                break
        return old, problem

    def _load(self, found: Snapshots, snapshot: Snapshot) -> Served | str:
        """Return a snapshot as it is served, or why it is not."""
        tried = None
        try:
            spec, contract = self._spec(snapshot)
            tried = _Tried(snapshot.learner, snapshot.name, snapshot.sha256, contract.version)
            if tried in self._refused:
                return self._refused[tried]
            return Served.of(spec, contract, snapshot, found.state(snapshot, packages_of(spec)))
        except (HeadraceError, KeyError, *UNLOADABLE) as error:
            cause = str(error)
        tried = tried or _Tried(snapshot.learner, snapshot.name, snapshot.sha256, "")
        if self._refused.get(tried) != cause:
            self._refused[tried] = cause
            emit(SnapshotNotServed(learner=snapshot.learner, snapshot=snapshot.name, cause=cause))
        return cause

    def _spec(self, snapshot: Snapshot) -> tuple[LearnerSpec, Contract]:
        """Return the learner as it was when the snapshot was made: its text, read against the contract of today."""
        spec = parse_learner(snapshot.text, self._contracts, f"of snapshot {snapshot.name}")
        contract = self._contracts(spec.dataset)
        if contract is None or spec.version != snapshot.version:
            raise ContractInvalid(
                f'snapshot "{snapshot.name}" of learner "{snapshot.learner}" was made under another contract of '
                f'"{spec.dataset}" than is in force',
                hint="the learner begins anew, and its next snapshot is served",
            )
        return spec, contract


def keep_stocked(settings: Settings, rack: Rack, stop: threading.Event) -> None:
    """Look for new snapshots about once a second until told to stop; while Kafka is away, what there is stays."""
    client = settings.kafka_client()
    with closing(Registry(settings)) as registry, closing(ContractStore(settings, client, registry)) as contracts:
        stocker = Stocker(settings.paths(), contracts.current)
        with closing(CompactedTopic(client, SNAPSHOTS)) as topic:
            found: TopicSnapshots | None = None
            while not stop.is_set():
                try:
                    view = topic.refresh()
                    found = found or TopicSnapshots(view, registry)
                    rack.shelf = stocker.stock(rack.shelf, found, time.time())
                    rack.problem = ""
                except HeadraceError as error:
                    if rack.problem != str(error):
                        emit(StageWaits(stage=NAME, cause=str(error), hint=error.hint, retry_secs=LOOK_SECS))
                    rack.problem = str(error)
                stop.wait(LOOK_SECS)
