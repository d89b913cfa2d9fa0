"""A watcher of a test's own on shared services: its home, and what is known of its work from outside."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from headrace.core.child import Child, wait_until
from headrace.schemas import codec
from headrace.schemas.ledger import FileEntry, read_entry
from headrace.schemas.registry import Registry
from headrace.schemas.topics import LEDGER, RAW, data_topic
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic
from headrace.transport.kafka import CompactedTopic, Topics

LIMIT_SECS = 30.0
FRAME_ROWS = 200


class OwnWatcher:
    """A home of its own with a watcher on the shared services, and what is known of it from outside."""

    def __init__(self, stack: EmbeddedStack, folder: Path, dataset: str) -> None:
        self.dataset = dataset
        self.settings = Settings(
            home=folder,
            kafka_bootstrap=stack.settings.kafka_client()["bootstrap.servers"],
            registry_url=stack.settings.registry_address(),
        )
        self.paths = self.settings.paths()
        self.inbox = self.paths.inbox / dataset
        self.inbox.mkdir(parents=True)
        self.registry = Registry(self.settings)
        self._ledger = CompactedTopic(self.settings.kafka_client(), LEDGER)
        self._before = set(self._ledger.refresh())
        self.watcher = self.start()

    def start(self, frame_rows: int = FRAME_ROWS) -> Child:
        """Start a watcher on this home; the one before must have ended."""
        environment = {
            "HEADRACE_HOME": str(self.paths.home),
            "HEADRACE_KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap,
            "HEADRACE_REGISTRY_URL": self.settings.registry_url,
            "HEADRACE_WAREHOUSE_URL": "http://127.0.0.1:9",
            "HEADRACE_FRAME_ROWS": str(frame_rows),
            "HEADRACE_RESCAN_SECS": "0.3",
            "HEADRACE_STABLE_SECS": "0.3",
        }
        program = [sys.executable, "-m", "headrace.producers.app"]
        self.watcher = Child("watcher", program, environment, self.paths.logs / "watcher.out")
        return self.watcher

    def drop(self, name: str, content: str | bytes) -> Path:
        """Bring a file in as careful programs do: written under a hidden name, then renamed."""
        draft = self.inbox / f".{name}"
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.rename(self.inbox / name)
        return self.inbox / name

    def drop_open(self, name: str, content: str) -> TextIO:
        """Bring a file in and return it open for writing, as its writer may still have it."""
        draft = self.inbox / f".{name}"
        draft.write_text(content)
        stream = draft.open("r+")
        draft.rename(self.inbox / name)
        return stream

    def entries(self) -> list[FileEntry]:
        """Return the entries that this home's watcher wrote."""
        view = self._ledger.refresh()
        found = [read_entry(value) for key, value in view.items() if key not in self._before]
        return sorted(found, key=lambda entry: entry.updated_at)

    def wait(self, done: Callable[[list[FileEntry]], bool], limit_secs: float = LIMIT_SECS) -> list[FileEntry]:
        """Return the entries once they are as wanted; TimeoutError says what they are and what the watcher said."""
        if not wait_until(lambda: done(self.entries()), limit_secs):
            said = self.watcher.output.read_text()[-2_000:]
            stays = [(entry.name, entry.state, entry.reason) for entry in self.entries()]
            raise TimeoutError(f"the ledger stays at {stays}; {said}")
        return self.entries()

    def wait_for_states(self, **states: str) -> dict[str, FileEntry]:
        """Wait until each file (its name without suffix) is in a state, and return the entries by that name."""

        def by_name(entries: list[FileEntry]) -> dict[str, FileEntry]:
            return {entry.name.partition(".")[0]: entry for entry in entries}

        def reached(entries: list[FileEntry]) -> bool:
            return {name: entry.state.value for name, entry in by_name(entries).items()} == states

        return by_name(self.wait(reached))

    def raw_rows(self) -> Counter[tuple[str, int]]:
        """Return how often each (file, row) can be read from the raw topic."""
        topic = data_topic(self.dataset, RAW)
        if topic not in Topics(self.settings.kafka_client()).partitions():
            return Counter()
        messages = [message.value for message in read_topic(self.settings.kafka_client(), topic)]
        rows: Counter[tuple[str, int]] = Counter()
        for schema_id, start, stop in codec.split_by_schema(messages):
            schema = self.registry.record_schema(schema_id or 0)
            if schema is None:
                raise LookupError(f"messages {start} to {stop} of {topic} have no known schema")
            frame = codec.decode(messages[start:stop], schema)
            rows.update(zip(frame["_file"].to_list(), frame["_row"].to_list(), strict=True))
        return rows

    def close(self) -> None:
        """End the watcher as kill -9 does, and leave the services."""
        self.watcher.kill()
        self._ledger.close()
        self.registry.close()
