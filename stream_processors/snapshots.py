"""Snapshots of learners: a packed state in parts on ml.snapshots, in one transaction with the offsets it stands for."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from headrace.core.clock import micros
from headrace.errors import HeadraceError, Terminal
from headrace.observability.events import emit
from headrace.observability.learner_events import SnapshotUnreadable
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.system import MessageUnreadable, frame_system, read_checked, schema_id_of
from headrace.schemas.topics import SNAPSHOTS
from headrace.stream_processors.lookups import SchemaTexts
from headrace.stream_processors.steps.learn import State
from headrace.stream_processors.steps.model_state import FORMAT, StateRefused, pack, unpack
from headrace.transport.partition_reader import Place

SCHEMA: Final = "model_snapshot"
PART_BYTES: Final = 1024 * 1024
KEPT: Final = 5
_LIBRARIES = ("river", "numpy")


class SnapshotRefused(HeadraceError, Terminal):
    """A snapshot that is not whole, was changed, or was written by another version of a library."""

    code = "snapshot_refused"


@dataclass(frozen=True)
class Snapshot:
    """What is known of one snapshot without unpacking it; `positions` are the next offsets to learn."""

    learner: str
    name: str
    version: str
    text: str
    champion: str
    rows: int
    predicted: int
    sha256: str
    format: int
    libraries: Mapping[str, str]
    positions: Mapping[Place, int]
    kept: bool
    at: int
    parts: int

    @property
    def keys(self) -> list[bytes]:
        """Return the keys of its parts on the topic."""
        return [_key(self.learner, self.name, part) for part in range(self.parts)]


def snapshot_name(spec: LearnerSpec, state: State) -> str:
    """Return the name of a state: the version of the learner's YAML, and how many records were predicted.

    With the number of commands that were followed, so that one is no reason to lose the state before it.
    """
    followed = f".{len(state.commands)}" if state.commands else ""
    return f"{spec.version}.{state.predicted}{followed}"


def write_snapshot(
    spec: LearnerSpec, state: State, positions: Mapping[Place, int], *, kept: bool, at: int, packages: Iterable[str]
) -> tuple[Snapshot, list[bytes]]:
    """Return a state as a snapshot and the bodies of its parts."""
    packed = pack(state, packages)
    body = zlib.compress(packed, 1)
    parts = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
    found = Snapshot(
        learner=spec.name,
        name=snapshot_name(spec, state),
        version=spec.version,
        text=spec.text,
        champion=state.champion,
        rows=state.rows,
        predicted=state.predicted,
        sha256=hashlib.sha256(packed).hexdigest(),
        format=FORMAT,
        libraries=libraries(),
        positions=dict(positions),
        kept=kept,
        at=at,
        parts=len(parts),
    )
    return found, parts


def messages_of(snapshot: Snapshot, bodies: Iterable[bytes], schema_id: int) -> list[tuple[bytes, bytes]]:
    """Return the messages (key, value) of a snapshot."""
    positions = [
        {"topic": place.topic, "partition": place.partition, "offset": offset}
        for place, offset in sorted(snapshot.positions.items())
    ]
    own = {name: value for name, value in vars(snapshot).items() if name not in {"name", "positions"}}
    return [
        (
            _key(snapshot.learner, snapshot.name, part),
            frame_system(
                SCHEMA, schema_id, own | {"snapshot": snapshot.name, "positions": positions, "part": part, "body": body}
            ),
        )
        for part, body in enumerate(bodies)
    ]


def libraries() -> dict[str, str]:
    """Return the versions of the libraries whose objects a state holds."""
    return {name: version(name) for name in _LIBRARIES}


class Snapshots:
    """The snapshots on a view of ml.snapshots, which `headrace.transport.kafka.CompactedTopic` gives.

    Keep it as long as the view: what it cannot read it tells once.
    """

    def __init__(self, view: Mapping[str, bytes], texts: SchemaTexts) -> None:
        self._view, self._texts = view, texts
        self._known: dict[str, tuple[bytes, Snapshot]] = {}
        self._unreadable: dict[str, bytes] = {}

    def of(self, learner: str) -> list[Snapshot]:
        """Return the snapshots of a learner that are whole, oldest first; what is no snapshot is passed over."""
        mine = [key for key in self._view if key.startswith(f"{learner}/")]
        # Parts after the first are looked at when the state is asked for.
        found = [self._readable(key) for key in mine if key.endswith("/0") or not key.rpartition("/")[2].isdecimal()]
        whole = [one for one in found if one is not None and one.parts <= len(mine) and self._whole(one)]
        # Of equal ones, say of a new version that has come as far, the one that was written later is the newer.
        return sorted(whole, key=lambda one: (one.at, one.predicted))

    def newest(self, learner: str, version: str = "") -> Snapshot | None:
        """Return a learner's newest snapshot, of one version of its YAML if it is given."""
        found = [one for one in self.of(learner) if version in {"", one.version}]
        return found[-1] if found else None

    def packed(self, snapshot: Snapshot) -> bytes:
        """Return the packed state; raises SnapshotRefused if it is not what was written."""
        body = b"".join(self._value(self._view[key.decode()])["body"] for key in snapshot.keys)
        try:
            packed = zlib.decompress(body)
        except zlib.error as error:
            raise _refused(snapshot, f"it cannot be decompressed: {error}") from error
        if hashlib.sha256(packed).hexdigest() != snapshot.sha256:
            raise _refused(snapshot, f"its digest is not {snapshot.sha256}")
        return packed

    def state(self, snapshot: Snapshot, packages: Iterable[str]) -> State:
        """Return the state; raises SnapshotRefused for one of another format or library, or that cannot be made."""
        if snapshot.format != FORMAT or dict(snapshot.libraries) != libraries():
            found = ", ".join(f"{name} {number}" for name, number in sorted(snapshot.libraries.items()))
            raise _refused(snapshot, f"it was written by format {snapshot.format} with {found}")
        try:
            state = unpack(self.packed(snapshot), packages)
        except StateRefused as error:
            raise _refused(snapshot, str(error)) from error
        if not isinstance(state, State):
            raise _refused(snapshot, "it is no learner's state")
        return state

    def _whole(self, snapshot: Snapshot) -> bool:
        return all(key.decode() in self._view for key in snapshot.keys)

    def _readable(self, key: str) -> Snapshot | None:
        try:
            return self._read(key)
        except SnapshotRefused as error:
            message = self._view[key]
            if self._unreadable.get(key) is not message:
                self._unreadable[key] = message
                emit(SnapshotUnreadable(key=key, cause=str(error)))
            return None

    def _read(self, key: str) -> Snapshot:
        message = self._view[key]
        known = self._known.get(key)
        if known is not None and known[0] is message:
            return known[1]
        value = self._value(message)
        positions = {Place(one["topic"], one["partition"]): one["offset"] for one in value["positions"]}
        at = micros(value["at"])
        own = {name: value[name] for name in Snapshot.__dataclass_fields__ if name not in {"name", "positions", "at"}}
        found = Snapshot(name=value["snapshot"], positions=positions, at=at, **own)
        if _key(found.learner, found.name, 0).decode() != key:
            raise _refused(found, f'it is under the key "{key}"')
        self._known[key] = (message, found)
        return found

    def _value(self, message: bytes) -> dict[str, Any]:
        text = self._texts.text_of(schema_id_of(message) or 0)
        try:
            return read_checked(SCHEMA, message, text)
        except MessageUnreadable as error:
            raise SnapshotRefused(f'topic "{SNAPSHOTS}": {error}', hint=error.hint) from error


def outdated(known: Iterable[Snapshot]) -> list[Snapshot]:
    """Return which of a learner's snapshots, oldest first, need not be kept: all but the newest and those kept."""
    found = list(known)
    kept = [one for one in found if one.kept][-KEPT:]
    recent = found[-KEPT:]
    return [one for one in found if one not in kept and one not in recent]


def _key(learner: str, snapshot: str, part: int) -> bytes:
    return f"{learner}/{snapshot}/{part}".encode()


def _refused(snapshot: Snapshot, cause: str) -> SnapshotRefused:
    return SnapshotRefused(
        f'snapshot "{snapshot.name}" of learner "{snapshot.learner}": {cause}',
        hint=f"headrace learn show {snapshot.learner} lists others; another version in its YAML begins anew",
    )
