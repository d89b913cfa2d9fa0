"""A learner that is killed at any moment predicts every record once, and ends with the model of one that was not."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.schemas.contract import Contract
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import SNAPSHOTS
from headrace.stream_processors.snapshots import SCHEMA, Snapshots
from headrace.testing.flood import SEED
from headrace.testing.learner import LearnerHome
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import CompactedTopic
from headrace.transport.plain import write_plainly

pytestmark = pytest.mark.stack
FILE = "00000000000000aa"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
version: 1.0.0
status: active
schema:
  - name: {dataset}
    properties:
      - name: a
        logicalType: number
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: kind
        logicalType: string
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - {{name: y, logicalType: number}}
"""
LEARNER = """
name: {name}
dataset: {dataset}
task: regression
target: y
models:
  - {{name: line, model: linear_regression}}
  - {{name: tree, model: hoeffding_tree}}
budget: {{rowsPerSecond: {budget}}}
snapshotRows: 3000
rolling: 2048
explain: 1
"""


@pytest.fixture
def home(stack: EmbeddedStack, tmp_path: Path) -> Iterator[LearnerHome]:
    with LearnerHome(stack.settings, tmp_path / "home") as found:
        yield found


def columns(rows: int, seed: int, turn: int = 10**9, first: int = 0) -> dict[str, list[Any]]:
    chance = random.Random(seed)
    a = [chance.gauss(0, 1) for _ in range(rows)]
    kind = [chance.choice(["x", "y", "z"]) for _ in range(rows)]
    y = [
        v * (2 if first + n < turn else -9) + (5 if k == "x" else 0)
        for n, (v, k) in enumerate(zip(a, kind, strict=True))
    ]
    return {"a": a, "kind": kind, "y": y}


def named() -> tuple[str, str, str]:
    tail = uuid4().hex[:8]
    return f"learn_{tail}", f"killed_{tail}", f"whole_{tail}"


def fill(home: LearnerHome, contract: Contract, batches: int, rows: int) -> None:
    for batch in range(batches):
        home.publish(contract, FILE, columns(rows, batch, 9_000, batch * rows), batch * rows)


def test_a_killed_learner_ends_with_the_same_bytes_and_published_everything_once(home: LearnerHome) -> None:
    dataset, killed, whole = named()
    contract = home.dataset(CONTRACT.format(dataset=dataset))
    home.learner(killed, LEARNER.format(name=killed, dataset=dataset, budget=0))
    chance, batches, rows = random.Random(SEED), 12, 1_500
    home.start()
    for batch in range(batches):
        home.publish(contract, FILE, columns(rows, batch, 9_000, batch * rows), batch * rows)
        if batch % 3 == 2:
            # The first time it is starting, later in the middle of what came since it was through.
            time.sleep(chance.uniform(0.0, 0.5))
            home.kill()
            home.start()
            home.wait_for_rows(killed, (batch + 1) * rows)
    last = home.wait_for_rows(killed, batches * rows)
    home.kill(signal.SIGTERM)
    home.learner(whole, LEARNER.format(name=whole, dataset=dataset, budget=0))
    home.start()
    other = home.wait_for_rows(whole, batches * rows)
    assert (last.rows, last.sha256) == (other.rows, other.sha256)
    mine, theirs = home.predictions(killed), home.predictions(whole)
    assert Counter(one["_row"] for one in mine) == Counter(range(batches * rows))
    assert [_said(one) for one in mine] == [_said(one) for one in theirs]
    told, untold = home.metrics(killed), home.metrics(whole)
    assert [_standing(one) for one in told] == [_standing(one) for one in untold]
    assert {one["kind"] for one in home.events(killed)} >= {"created", "warning", "drift"}
    assert _turns(home.events(killed)) == _turns(home.events(whole))


def test_a_sample_is_the_same_after_a_kill(home: LearnerHome) -> None:
    dataset, killed, whole = named()
    contract = home.dataset(CONTRACT.format(dataset=dataset))
    fill(home, contract, 8, 1_500)
    home.learner(killed, LEARNER.format(name=killed, dataset=dataset, budget=2_000))
    home.learner(whole, LEARNER.format(name=whole, dataset=dataset, budget=2_000))
    home.start()
    home.wait_for_rows(killed, 1)
    home.kill()
    home.start()
    last, other = _settled(home, killed), _settled(home, whole)
    assert (last.predicted, last.sha256) == (other.predicted, other.sha256)
    assert 0 < last.predicted < 12_000
    found = home.predictions(killed)
    assert len(found) == last.predicted
    assert min(one["chance"] for one in found) < 1.0


def test_a_snapshot_that_was_changed_is_refused_and_an_older_one_goes_on_to_the_same_state(home: LearnerHome) -> None:
    dataset, killed, _ = named()
    contract = home.dataset(CONTRACT.format(dataset=dataset))
    home.learner(killed, LEARNER.format(name=killed, dataset=dataset, budget=0))
    home.start()
    fill(home, contract, 2, 3_500)
    last = home.wait_for_rows(killed, 7_000)
    home.kill()
    assert len(home.snapshots(killed)) > 1
    _tamper(home, killed)
    home.start()
    home.publish(contract, FILE, columns(1_000, 77), 7_000)
    again = home.wait_for_rows(killed, 8_000)
    assert "its digest is not" in home.log()
    assert again.name != last.name
    assert Counter(one["_row"] for one in home.predictions(killed)) == Counter(range(8_000))


def _tamper(home: LearnerHome, learner: str) -> None:
    """Write the newest snapshot once more, with another state under its digest."""
    topic = CompactedTopic(home.client, SNAPSHOTS)
    view = dict(topic.refresh_to_end())
    topic.close()
    found = Snapshots(view, home.registry)
    first, newest = found.of(learner)[0], found.newest(learner)
    assert newest is not None
    for mine, theirs in zip(newest.keys, first.keys, strict=True):
        message, other = view[mine.decode()], view[theirs.decode()]
        value = read_system(SCHEMA, message) | {"body": read_system(SCHEMA, other)["body"]}
        forged = frame_system(SCHEMA, schema_id_of(message) or 0, value)
        write_plainly(home.client, SNAPSHOTS, mine, forged)


def _settled(home: LearnerHome, learner: str) -> Any:
    """Return the newest snapshot once it stands for all that is published."""
    for _ in range(200):
        found = home.snapshots(learner)
        if found and all(offset >= 12_000 for offset in found[-1].positions.values()):
            return found[-1]
        time.sleep(0.3)
    raise AssertionError(home.log()[-3000:])


def _said(one: dict[str, Any]) -> tuple[Any, ...]:
    return (one["_row"], one["model"], one["generation"], one["learned"], one["value"], one["reasons"])


def _standing(one: dict[str, Any]) -> tuple[Any, ...]:
    return (one["model"], one["rows"], one["loss"], one["recent_loss"], one["champion"])


def _turns(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["rows"], one["kind"], one["model"], one["detail"]) for one in found)
