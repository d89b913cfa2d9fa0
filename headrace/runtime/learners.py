"""What is known of a home's learners: their files, figures from the warehouse, events and snapshots from topics."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psutil

from headrace.errors import WrongUse
from headrace.runtime.status import stack_status
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import contract_path, read_contract, shipped_contract
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.learner_store import SUFFIX, Learners, LearnerStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_checked, schema_id_of
from headrace.schemas.topics import MODELS, SNAPSHOTS
from headrace.settings import Paths, Settings
from headrace.stream_processors.learner_line import sources_of
from headrace.stream_processors.snapshots import Snapshot, Snapshots
from headrace.transport.kafka import CompactedTopic
from headrace.transport.partition_reader import PartitionReader
from headrace.transport.warehouse import Warehouse

STAGE = "learner"
GROUP = "headrace-learn"
CURVE_POINTS = 60
_COLUMNS = (
    "learner, model, version, champion, dummy, generation, rows, loss, error, metrics, recent_rows, recent_loss, "
    "recent_error, recent_metrics, best_dummy, dummy_loss, beats_dummy, sampling, anomalous"
)
_NEWEST = f"""
SELECT {_COLUMNS} FROM headrace.model_metrics WHERE version IN {{versions:Array(String)}}
ORDER BY rows DESC, _offset DESC LIMIT 1 BY learner, version, model
"""  # noqa: S608  what is put in is a constant
_CURVE = """
WITH (SELECT max(rows) FROM headrace.model_metrics WHERE learner = {learner:String} AND version = {version:String})
    AS most
SELECT max(rows) AS upto, toUnixTimestamp64Micro(max(at)) AS moment, argMax(recent_loss, rows), argMax(dummy_loss, rows)
FROM headrace.model_metrics
WHERE learner = {learner:String} AND version = {version:String} AND champion AND recent_loss IS NOT NULL
GROUP BY intDiv(rows * {points:UInt32}, most + 1) ORDER BY upto
"""
Contracts = Callable[[str], Contract | None]


@dataclass(frozen=True)
class Point:
    """A point of a learner's curve: the champion's rolling loss, and the best dummy's beside it."""

    rows: int
    at: int
    loss: float
    dummy_loss: float | None


@dataclass(frozen=True)
class Known:
    """One learner: its file, the newest figures of each model, and how far it is behind.

    `figures` are those of the version that is in force; empty until 1,024 labelled records were learned.
    """

    spec: LearnerSpec
    figures: Sequence[Mapping[str, Any]]
    snapshot: Snapshot | None
    lag: int

    @property
    def champion(self) -> Mapping[str, Any] | None:
        """Return the champion's figures, None before the first."""
        return next((one for one in self.figures if one["champion"]), None)


@dataclass(frozen=True)
class History:
    """What happened to one learner, oldest first, and the snapshots that are still there."""

    events: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    snapshots: Sequence[Snapshot] = field(default_factory=tuple)
    curve: Sequence[Point] = field(default_factory=tuple)


def home_contracts(paths: Paths) -> Contracts:
    """Return what gives a dataset's contract: the home's, else the one that comes with headrace. Writes nothing."""
    known: dict[str, Contract | None] = {}

    def find(dataset: str) -> Contract | None:
        if dataset not in known:
            path, shipped = contract_path(paths, dataset), shipped_contract(dataset)
            if path.exists():
                known[dataset] = read_contract(path)
            else:
                known[dataset] = None if shipped is None else parse_contract(shipped, dataset)
        return known[dataset]

    return find


def declared(paths: Paths) -> Learners:
    """Return the learners of a home as their files say it."""
    return LearnerStore(paths, home_contracts(paths)).specs()


def spec_named(learners: Learners, name: str) -> LearnerSpec:
    """Return a learner by its name; raises WrongUse that says which there are, or what is wrong with its file."""
    if (found := next((spec for spec in learners.specs if spec.name == name), None)) is not None:
        return found
    if problems := learners.problems.get(f"{name}{SUFFIX}"):
        raise WrongUse(
            f'learner "{name}" rests, its file cannot be followed: {"; ".join(problems)}',
            hint=f"correct it, then: headrace learn lint learners/{name}{SUFFIX}",
        )
    names = ", ".join(spec.name for spec in learners.specs) or "none"
    raise WrongUse(f'there is no learner "{name}"', hint=f"learners: {names}; docs/guide/learners.md tells of new ones")


def why_idle(settings: Settings) -> str:
    """Return why nothing learns on a home just now, "" while the process `learner` runs."""
    stages = stack_status(settings)["stages"]
    if STAGE in stages:
        stage = stages[STAGE]
        if stage["pid"]:
            return ""
        return f"it is {stage['state']}" + (f": {stage['error']}" if stage["error"] else "")
    return "" if _runs_alone(settings.paths()) else "it was not started"


def _runs_alone(paths: Paths) -> bool:
    """Return True if a learner without a supervisor wrote its report; a process that came later wrote none."""
    report = paths.run / "stages" / f"{STAGE}.json"
    try:
        told, written_at = json.loads(report.read_text()), report.stat().st_mtime
        process = psutil.Process(told["pid"])
        alive = process.create_time() <= written_at and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return False
    return alive and told["state"] != "stopped" and told["pid"] != os.getpid()


def every_learner(settings: Settings, specs: Sequence[LearnerSpec]) -> list[Known]:
    """Return what is known of learners; blocks for some round trips, raises ServiceUnreachable."""
    client = settings.kafka_client()
    with closing(Registry(settings)) as registry, closing(CompactedTopic(client, SNAPSHOTS)) as topic:
        snapshots = Snapshots(topic.refresh_to_end(), registry)
        newest = {spec.name: snapshots.newest(spec.name, spec.version) for spec in specs}
    figures = newest_figures(settings, specs)
    return [Known(spec, figures[spec.name], newest[spec.name], lag_of(client, spec)) for spec in specs]


def newest_figures(settings: Settings, specs: Sequence[LearnerSpec]) -> dict[str, list[dict[str, Any]]]:
    """Return the newest figures of each model by learner: champion first, then challengers, then dummies."""
    names = [name.strip() for name in _COLUMNS.split(",")]
    with Warehouse(settings) as warehouse:
        rows = warehouse.rows(_NEWEST, {"versions": [spec.version for spec in specs]})
    found = [dict(zip(names, row, strict=True)) for row in rows]
    wanted = {(spec.name, spec.version) for spec in specs}
    by_learner: dict[str, list[dict[str, Any]]] = {spec.name: [] for spec in specs}
    for one in found:
        if (one["learner"], one["version"]) in wanted:
            by_learner[one["learner"]].append(one)
    for several in by_learner.values():
        several.sort(key=lambda one: (not one["champion"], one["dummy"], one["model"]))
    return by_learner


def lag_of(client: Mapping[str, str], spec: LearnerSpec) -> int:
    """Return how many offsets of its topics a learner has not learned; transaction markers count, so it is rough."""
    with closing(PartitionReader(client, f"{GROUP}-{spec.name}")) as reader:
        places = sources_of(spec, reader.partitions())
        done, bounds = reader.recorded(places), reader.bounds(places)
    return sum(max(0, high - max(low, done.get(place, low))) for place, (low, high) in bounds.items())


def history(settings: Settings, spec: LearnerSpec) -> History:
    """Return what happened to a learner, in all its versions; blocks for round trips, raises ServiceUnreachable."""
    client = settings.kafka_client()
    with closing(Registry(settings)) as registry:
        with closing(CompactedTopic(client, SNAPSHOTS)) as topic:
            snapshots = Snapshots(topic.refresh_to_end(), registry).of(spec.name)
        with closing(CompactedTopic(client, MODELS)) as topic:
            events = [read_event(registry, value) for value in topic.refresh_to_end().values()]
    with Warehouse(settings) as warehouse:
        asked = {"learner": spec.name, "version": spec.version, "points": CURVE_POINTS}
        curve = [Point(*row) for row in warehouse.rows(_CURVE, asked)]
    return History([one for one in events if one["learner"] == spec.name], snapshots, curve)


def read_event(registry: Registry, message: bytes) -> dict[str, Any]:
    """Return a message of ml.models; raises MessageUnreadable for one that is none of the platform's."""
    return read_checked("model_event", message, registry.text_of(schema_id_of(message) or 0))
