"""A home with learners on a running stack, for tests of the process that learns: what it reads and what it wrote."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from headrace.core.child import wait_until
from headrace.core.guarded import guarded_command
from headrace.schemas.codec import encode, polars_schema
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import (
    METRICS,
    MODELS,
    PREDICTIONS,
    SNAPSHOTS,
    SYSTEM_TOPICS,
    VALID,
    data_topic,
    dataset_topics,
    value_subject,
)
from headrace.settings import Settings
from headrace.stream_processors.snapshots import Snapshot, Snapshots
from headrace.testing.dataset import environment_of
from headrace.transport.follow import read_topic
from headrace.transport.kafka import CompactedTopic, Topics, TransactionalWriter

LIMIT_SECS = 90.0
_MODULE = "headrace.stream_processors.learner"


class LearnerHome:
    """A home of its own on shared services. Use it in a `with` block; the process is started and killed by the test."""

    def __init__(self, shared: Settings, home: Path) -> None:
        addresses = {
            "kafka_bootstrap": shared.kafka_client()["bootstrap.servers"],
            "registry_url": shared.registry_address(),
            "warehouse_url": shared.warehouse_address(),
        }
        self.settings = shared.model_copy(update={"home": home} | addresses)
        self.client = self.settings.kafka_client()
        self.registry = Registry(self.settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._writers: dict[str, TransactionalWriter] = {}
        paths = self.settings.paths()
        for folder in (paths.contracts, paths.learners, paths.logs, paths.run):
            folder.mkdir(parents=True, exist_ok=True)
        Topics(self.client).ensure(SYSTEM_TOPICS)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill the process and leave the registry."""
        self.kill()
        self.registry.close()

    def dataset(self, text: str) -> Contract:
        """Make a dataset of a contract."""
        contract = parse_contract(text)
        (self.settings.paths().contracts / f"{contract.dataset}.odcs.yaml").write_text(text)
        Topics(self.client).ensure(dataset_topics(contract.dataset))
        return contract

    def learner(self, name: str, text: str) -> None:
        """Write a learner's YAML."""
        (self.settings.paths().learners / f"{name}.yaml").write_text(text)

    def publish(self, contract: Contract, file: str, columns: Mapping[str, Any], first: int = 0) -> None:
        """Write valid records of a file in one transaction; `columns` by field, rows counted from `first`."""
        topic, schema = data_topic(contract.dataset, VALID), contract.record_schema
        frame = pl.DataFrame(dict(columns), schema=dict(list(polars_schema(schema).items())[:-2]))
        rows = pl.int_range(first, first + len(frame), dtype=pl.Int64, eager=True)
        frame = frame.with_columns(pl.lit(file).alias("_file"), rows.alias("_row"))
        schema_id = self.registry.register(value_subject(topic), schema.text())
        if topic not in self._writers:
            self._writers[topic] = TransactionalWriter(self.client, f"test-{topic}")
        writer = self._writers[topic]
        writer.begin()
        writer.write(topic, encode(frame, schema, schema_id), partition=0)
        writer.commit()

    def start(self) -> None:
        """Start the process; it dies with this one."""
        command = guarded_command([sys.executable, "-m", _MODULE])
        log = (self.settings.paths().logs / "learner.out").open("ab")
        with log:
            self._process = subprocess.Popen(command, env=environment_of(self.settings), stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Return the number of the running process."""
        if self._process is None:
            raise AssertionError("the process was not started")
        return self._process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the process by a signal and wait for its end."""
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    def log(self) -> str:
        """Return what the process has logged."""
        file = self.settings.paths().logs / "learner.log"
        return file.read_text() if file.exists() else ""

    def predictions(self, learner: str) -> list[dict[str, Any]]:
        """Return the committed predictions of a learner, oldest first."""
        return self._values(PREDICTIONS, "prediction", learner)

    def metrics(self, learner: str) -> list[dict[str, Any]]:
        """Return the committed standings of a learner, oldest first."""
        return self._values(METRICS, "model_metric", learner)

    def events(self, learner: str) -> list[dict[str, Any]]:
        """Return the committed events of a learner, oldest first."""
        return self._values(MODELS, "model_event", learner)

    def snapshots(self, learner: str) -> list[Snapshot]:
        """Return the snapshots of a learner, oldest first."""
        topic = CompactedTopic(self.client, SNAPSHOTS)
        try:
            return Snapshots(topic.refresh_to_end(), self.registry).of(learner)
        finally:
            topic.close()

    def wait_for_rows(self, learner: str, rows: int) -> Snapshot:
        """Return the newest snapshot once it has predicted so many records; the log in the error if it never has."""

        def there() -> bool:
            found = self.snapshots(learner)
            return bool(found) and found[-1].predicted >= rows

        if not wait_until(there, LIMIT_SECS, every_secs=0.3):
            raise AssertionError(f"{learner} has not predicted {rows} records\n{self.log()[-3000:]}")
        return self.snapshots(learner)[-1]

    def _values(self, topic: str, name: str, learner: str) -> list[dict[str, Any]]:
        found = []
        for message in read_topic(self.client, topic):
            text = self.registry.text_of(schema_id_of(message.value) or 0)
            value = read_system(name, message.value, text)
            if value["learner"] == learner:
                found.append(value)
        return found
