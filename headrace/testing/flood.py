"""Files with known faults, and what must come of them: the oracle of failure tests, computed from the input alone."""

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from headrace.core.identity import file_id
from headrace.errors import ServiceUnreachable
from headrace.schemas.codec import decode
from headrace.schemas.registry import Registry
from headrace.schemas.system import schema_id_of
from headrace.schemas.topics import VALID, data_topic
from headrace.settings import Settings
from headrace.transport.follow import read_topic

RowId = tuple[str, int]
# What seeded tests draw from: a failure is repeated with the seed that its report names.
SEED = int(os.environ.get("HEADRACE_SEED", "17"))
TOLERANCE = 0.05
_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
name: {dataset}
version: "1.0.0"
status: active
customProperties:
  - {{property: headrace.tolerance, value: {tolerance}}}
  - {{property: headrace.partitions, value: 3}}
schema:
  - name: {dataset}
    properties:
      - {{name: number, logicalType: integer, required: true}}
      - name: amount
        logicalType: integer
        logicalTypeOptions: {{minimum: 0}}
      - {{name: note, logicalType: string}}
"""


@dataclass(frozen=True)
class Flood:
    """Files of one dataset, and the rows that must be stored, must be in quarantine, and the files to be alerted."""

    dataset: str
    files: tuple[tuple[str, bytes], ...]
    stored: frozenset[RowId]
    quarantined: frozenset[RowId]
    alerted: frozenset[str]

    def contract(self) -> str:
        """Return the contract that makes a negative amount bad."""
        return _CONTRACT.format(dataset=self.dataset, tolerance=TOLERANCE)


def make_flood(dataset: str, *, files: int, rows: int, seed: int) -> Flood:
    """Return `files` files of about `rows` rows; every third has more bad rows than the contract tolerates."""
    seeded = random.Random(seed)  # noqa: S311
    made: list[tuple[str, bytes]] = []
    stored, quarantined, alerted = set[RowId](), set[RowId](), set[str]()
    for number in range(files):
        share = 0.12 if number % 3 == 0 else 0.01
        lines, bad = [f"number,amount,note {number}"], []
        for row in range(seeded.randint(rows // 2, rows)):
            fault = seeded.choice(("negative", "ragged", "no number")) if seeded.random() < share else ""
            lines.append(_line(number, row, fault))
            bad += [row] if fault else []
        content = ("\n".join(lines).replace(f"note {number}", "note", 1) + "\n").encode()
        file = file_id(hashlib.sha256(content).hexdigest())
        quarantined |= {(file, row) for row in bad}
        stored |= {(file, row) for row in range(len(lines) - 1)} - {(file, row) for row in bad}
        alerted |= {file} if len(bad) / (len(lines) - 1) > TOLERANCE else set()
        made.append((f"{dataset}-{number}.csv", content))
    return Flood(dataset, tuple(made), frozenset(stored), frozenset(quarantined), frozenset(alerted))


def _line(number: int, row: int, fault: str) -> str:
    if fault == "ragged":
        return f"{number * 1_000_000 + row},5"
    if fault == "no number":
        return f",{row},missing"
    return f"{number * 1_000_000 + row},{-row - 1 if fault == 'negative' else row},ok"


class Onlooker:
    """A consumer of its own that reads a dataset's valid records, committed ones only, while faults happen."""

    def __init__(self, settings: Settings, dataset: str) -> None:
        self._settings = settings
        self._topic = data_topic(dataset, VALID)
        self._values: list[bytes] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        client = self._settings.kafka_client()
        while not self._stopped.is_set():
            try:
                for message in read_topic(client, self._topic, follow=True, stopped=self._stopped):
                    self._values.append(message.value)
            except ServiceUnreachable:  # only before the first message: Kafka, just killed, needs longer than it waits
                continue

    def rows(self, expected: int, limit_secs: float = 60.0) -> Counter[RowId]:
        """Stop once `expected` messages came, or at the limit, and return how often each row was seen."""
        deadline = time.monotonic() + limit_secs
        while len(self._values) < expected and time.monotonic() < deadline:
            self._stopped.wait(0.2)
        self._stopped.set()
        self._thread.join(timeout=10)
        return Counter(self._decoded())

    def _decoded(self) -> Iterator[RowId]:
        by_schema: dict[int, list[bytes]] = {}
        for value in self._values:
            by_schema.setdefault(schema_id_of(value) or 0, []).append(value)
        with closing(Registry(self._settings)) as registry:
            schemas = {schema_id: registry.record_schema(schema_id) for schema_id in by_schema}
        for schema_id, values in by_schema.items():
            schema = schemas[schema_id]
            if schema is not None:
                yield from decode(values, schema).select("_file", "_row").iter_rows()
