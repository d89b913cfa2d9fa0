"""Quality apps as processes of a stack's home, deltas of windows for them, and what must come of these."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from headrace.core.identity import stable_slot
from headrace.observability.status import read_stage
from headrace.runtime.plan import STAGES
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import PROFILES, QUALITY_PARTITIONS, SYSTEM_TOPICS, WINDOWS
from headrace.settings import Settings
from headrace.stream_processors.window_late import REVISE_SECS
from headrace.transport.follow import read_topic
from headrace.transport.kafka import Topics, TransactionalWriter

HOUR = 3600
# What is shorter has no body: other tests put such messages there.
_LEAST_BYTES = 20


def start_member(settings: Settings, slot: int, stage: str = "quality") -> subprocess.Popen[bytes]:
    """Start the quality app, or another stage, of a slot; it writes its log to `member_log`."""
    environment = os.environ | {"HEADRACE_HOME": str(settings.home)}
    command = [sys.executable, "-m", STAGES[stage], "--slot", str(slot)]
    with member_log(settings, slot, stage).open("ab") as log:
        return subprocess.Popen(command, env=environment, stderr=log)


def member_log(settings: Settings, slot: int, stage: str = "quality") -> Path:
    """Return the file with the log lines of a member."""
    return settings.paths().logs / f"member-{stage}-{slot}.log"


def ended_by_itself(settings: Settings, members: Mapping[int, subprocess.Popen[bytes]]) -> str:
    """Tell which quality app ended although nobody asked it to, and with which last words; else an empty text."""
    ended = {slot: member.poll() for slot, member in members.items() if member.poll() not in {None, 0, -signal.SIGKILL}}
    return "\n".join(
        f"member {slot} ended with {status}: {member_log(settings, slot).read_text()[-2000:]}"
        for slot, status in ended.items()
    )


def end(member: subprocess.Popen[bytes]) -> None:
    """Kill a member, as kill -9 does."""
    member.kill()
    member.wait()


def lag_of(settings: Settings, slot: int) -> int:
    """Return how far a member says that it is behind, -1 while it does not know."""
    told = read_stage(settings.paths(), "quality" if slot == 0 else f"quality-{slot}")
    return -1 if told is None else told["lag"]


class Deltas:
    """Publishes deltas of windows as the judge does, each in a transaction."""

    def __init__(self, settings: Settings, contracts: Sequence[Contract], name: str) -> None:
        Topics(settings.kafka_client()).ensure(SYSTEM_TOPICS)
        with closing(Registry(settings)) as registry:
            self._schema_id = registry.system_id(PROFILES, "profile_delta")
            with closing(ContractStore(settings, settings.kafka_client(), registry)) as store:
                for contract in contracts:
                    store.record(contract)
        self._writer = TransactionalWriter(settings.kafka_client(), name)
        self._versions = {contract.dataset: contract.version for contract in contracts}

    def publish(self, dataset: str, file: str, windows: Sequence[dict[str, Any]]) -> None:
        """Publish what a batch of a file adds to windows."""
        empty: dict[str, Any] = {"reasons": {}, "rules": {}, "columns": [], "trace_id": "", "name": "", "owner": ""}
        ended = {"file_rows": None, "file_state": "", "file_reason": "", "tolerance": None}
        rows = sum(one["rows"] for one in windows)
        named = {"dataset": dataset, "file": file, "stage": "judge", "rows": rows, "rejected": 0}
        told = {"contract_version": self._versions[dataset], "windows": list(windows)}
        value = frame_system("profile_delta", self._schema_id, named | empty | ended | told)
        self._writer.begin()
        partition = stable_slot(dataset, QUALITY_PARTITIONS)
        self._writer.write(PROFILES, [value], partition=partition, key=dataset.encode())
        self._writer.commit()


def published(settings: Settings, topic: str, name: str, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Return the committed messages of some datasets, repeats too; what is no message of ours is left out."""
    return [one for _, one in stamped(settings, topic, name, wanted)]


def stamped(
    settings: Settings, topic: str, name: str, wanted: Callable[[str], bool]
) -> list[tuple[int, dict[str, Any]]]:
    """Return the same with the second in which the broker took each."""
    found = []
    with closing(Registry(settings)) as registry:
        for message in read_topic(settings.kafka_client(), topic):
            writer = registry.text_of(schema_id_of(message.value) or 0) if len(message.value) > _LEAST_BYTES else None
            if writer is not None:
                found.append((message.published_at_ms // 1000, read_system(name, message.value, writer)))
    return [(at, one) for at, one in found if wanted(one["dataset"])]


def windows_told(settings: Settings, dataset: str, clock: str = "event") -> dict[tuple[int, int], list[dict[str, Any]]]:
    """Return the published windows of a dataset by start in seconds and revision, each with its repeats."""
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in published(settings, WINDOWS, "window", lambda name: name == dataset):
        if one["clock"] == clock:
            found.setdefault((int(one["start"].timestamp()), one["revision"]), []).append(one)
    return found


def folded(deltas: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """Return what is in each telling of a window of event time, by its start and revision.

    It puts together stamped deltas in their order, one by one. Windows that late rows came for are told again when
    another one closes, or ten seconds after the first of them.
    """
    held, revisions, found = dict[int, list[dict[str, Any]]](), dict[int, int](), {}
    newest, now, since, late = 0, 0, 0, set[int]()
    for at, delta in deltas:
        now = max(now, at)
        waited = bool(late) and now - since >= REVISE_SECS
        since = since if late else now
        for one in delta["windows"]:
            held.setdefault(one["start"], []).append(one)
            newest = max(newest, one["start"])
            late |= {one["start"]} & revisions.keys()
        closing = {start for start in held if start < newest and start not in revisions}
        for start in sorted(closing | (late if closing or waited else set())):
            revisions[start] = revisions.get(start, -1) + 1
            found[start, revisions[start]] = held[start].copy()
            late.discard(start)
    return found
