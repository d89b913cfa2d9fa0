"""Learners that have learned something, and their snapshots as the topic has them: without Kafka and a registry."""

import hashlib
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.expression import Kind
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import LearnerSpec, Task
from headrace.schemas.learner_store import learner_path, shipped_learners
from headrace.schemas.system import system_schema_text
from headrace.settings import Settings
from headrace.stream_processors.learner_models import make_learner, packages_of
from headrace.stream_processors.snapshots import SCHEMA, Snapshot, Snapshots, messages_of, write_snapshot
from headrace.stream_processors.steps.learn import Learner, Rows, predicts_classes
from headrace.stream_processors.steps.model_state import FORMAT

_TEXTS = ("EWR", "JFK", "LGA", "UA", "B6")
_FIRST = datetime(2013, 1, 1, 5)  # noqa: DTZ001  models get moments in UTC without a zone

WINDOW = 1_356_998_400_000_000
"""Start of the last window that a taught forecast has learned: 2013-01-01, microseconds since 1970."""


@cache
def law(dataset: str) -> Contract | None:
    """Return the contract that comes with headrace, None for a dataset it does not know."""
    text = shipped_contract(dataset)
    return None if text is None else parse_contract(text, dataset)


def shipped_spec(name: str, change: Callable[[str], str] = lambda text: text) -> LearnerSpec:
    """Return a learner that comes with headrace, its text changed."""
    return parse_learner(change(shipped_learners()[name][1]), law)


def some_records(spec: LearnerSpec, count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return features as models get them; equal seeds give equal records."""
    chosen = random.Random(seed)  # noqa: S311  records to learn

    def value(kind: Kind, number: int) -> Any:
        made: dict[Kind, Any] = {
            Kind.WHOLE: chosen.randrange(100),
            Kind.NUMBER: chosen.gauss(10, 3),
            Kind.TEXT: chosen.choice(_TEXTS),
            Kind.BOOLEAN: chosen.random() < 0.5,
            Kind.TIMESTAMP: _FIRST + timedelta(hours=number),
            Kind.DATE: (_FIRST + timedelta(days=number)).date(),
        }
        return made[kind]

    return [{name: value(spec.kinds[name], number) for name in spec.features} for number in range(count)]


def taught(spec: LearnerSpec, rows: int = 2_048, seed: int = 1) -> Learner:
    """Return a learner that has learned made records: the sum of their numbers is what is to be predicted."""
    learner = make_learner(spec)
    xs = some_records(spec, rows, seed)
    sums = [sum(one for one in x.values() if isinstance(one, (int, float))) for x in xs]
    middle = sorted(sums)[rows // 2]
    series = [20.0 + number % 7 for number in range(rows)]
    labels: dict[bool, list[Any]] = {
        True: [one > middle for one in sums],
        False: [float(one) for one in sums] if spec.features else series,
    }
    ys = [None] * rows if spec.task in {Task.ANOMALY, Task.CLUSTERING} else labels[predicts_classes(spec)]
    learner.take(Rows(xs, ys, [1.0] * rows))
    if spec.task is Task.FORECAST:
        learner.state.since = WINDOW
    return learner


class Texts:
    """A registry that knows one schema: that of snapshots, under any id."""

    def text_of(self, _schema_id: int) -> str:
        """Return the text of the snapshot's schema."""
        return system_schema_text(SCHEMA)


@dataclass
class SnapshotTopic:
    """ml.snapshots as `CompactedTopic` gives it; `write` commits a learner's state, as the process would."""

    view: dict[str, bytes] = field(default_factory=dict)
    at: int = 0

    @property
    def snapshots(self) -> Snapshots:
        """Return what is on the topic."""
        return Snapshots(self.view, Texts())

    def forge(self, learner: Learner, *table: Any) -> Snapshot:
        """Write a snapshot whose state is a table of packed objects that no learner of ours wrote."""
        packed = json.dumps({"format": FORMAT, "root": ["@", 0], "objects": table}).encode()
        found = self.write(learner, sha256=hashlib.sha256(packed).hexdigest(), parts=1)
        self.view |= {key.decode(): value for key, value in messages_of(found, [zlib.compress(packed)], 1)}
        return found

    def write(self, learner: Learner, **changed: Any) -> Snapshot:
        """Write a snapshot, with some of its fields changed as a foreign hand might."""
        self.at += 1_000_000
        spec = learner.spec
        found, bodies = write_snapshot(spec, learner.state, {}, kept=False, at=self.at, packages=packages_of(spec))
        found = replace(found, **changed)
        self.view |= {key.decode(): value for key, value in messages_of(found, bodies, 1)}
        return found


def home_with(folder: Path, *specs: LearnerSpec) -> Settings:
    """Return the settings of a home that has these learners' files."""
    settings = Settings(home=folder)
    for spec in specs:
        path = learner_path(settings.paths(), spec.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spec.text)
    return settings
