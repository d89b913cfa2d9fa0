"""Windows in a table that survives a kill at any moment: what one delta changes, closes and tells.

Nothing changes while a delta is planned. Then its messages are published, then its entries are written in the order of
`Plan.entries`, the position last, then what is no longer needed is deleted. A kill in between repeats the delta. Parts
it wrote are found under its offset. Before any closed window is written, lives, references and what was seen are as
they were, so the messages come again and are equal; after that all of them were published, and only what is not
written yet is made.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.core.vocabulary import Stage
from headrace.schemas.record import RecordSchema
from headrace.stream_processors.steps.closed_windows import Ranges, unpack_piece, with_range, within
from headrace.stream_processors.steps.pins import facts_values, pinned_parts
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK
from headrace.stream_processors.steps.window_slots import MOST_PARTS, PIECE_BYTES, base_slots, delta_slot, sorted_out
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.window_closing import Closings
from headrace.stream_processors.window_files import Files, Told, is_facts, told_key
from headrace.stream_processors.window_index import (
    Clock,
    Index,
    dataset_key,
    json_bytes,
    part_key,
    piece_key,
)
from headrace.stream_processors.window_late import LATE_BYTES, REVISE_SECS, Late
from headrace.stream_processors.window_law import Law, Laws, SchemaNeeded, law_for
from headrace.stream_processors.window_learned import is_learned, is_learners, learned_parts, records_seen
from headrace.stream_processors.window_plan import Plan, Source
from headrace.stream_processors.window_silence import Silence

CLOCKS: Final = (EVENT_CLOCK, ARRIVAL_CLOCK)
ARRIVAL_GRACE_SECS: Final = 30
"""How long a window of arrival waits for the judge after its end: deltas come after the records."""
MOST_OPEN: Final = 20_000
"""Open windows of a clock. A delta for one more is told as too early: a date in 2099 must not fill the memory."""
TICK: Final = "tick"
"""The stage of a message without rows that only says how late it is, so that windows of a silent dataset close."""
_MICROS = 1_000_000
_MOST_AHEAD = 64


@dataclass
class Clocks:
    """How far a dataset's clocks have come, and which windows were forgotten.

    `high` is the greatest start of an event window seen that has begun by `seen`, the greatest publish time in seconds;
    `ahead` has the first of those that have not. By clock
    `through` is the moment up to which windows were closed, empty ones too where those are, and `quiet` how many empty
    ones were closed last; `late` are closed windows whose rows wait for a revision, `late_since` since when.
    """

    offset: int = -1
    high: int | None = None
    seen: int = 0
    ahead: list[int] = field(default_factory=list)
    version: str = ""
    gone: dict[str, Ranges] = field(default_factory=dict)
    through: dict[str, int] = field(default_factory=dict)
    quiet: dict[str, int] = field(default_factory=dict)
    late: dict[str, list[int]] = field(default_factory=dict)
    late_since: dict[str, int] = field(default_factory=dict)

    @classmethod
    def unpack(cls, data: bytes | None) -> "Clocks":
        """Return the clocks of an entry; of None those of a dataset that was never seen."""
        values = json.loads(data or b"{}")
        # Tables of before have the start of the newest closed window: the next one begins after it.
        before = {clock: start + 1 for clock, start in values.pop("newest", {}).items()}
        return cls(**({"through": before} | values))

    def watermark(self, clock: str, law: Law) -> int | None:
        """Return up to when a clock's windows are held to be complete, in seconds.

        Event time beyond the time of publishing is a mistake of somebody's clock: it closes nothing until that time
        has come. A clock that is two hours fast closes its windows two hours late, and one date in 3024 none.
        """
        if clock == ARRIVAL_CLOCK:
            return self.seen - ARRIVAL_GRACE_SECS
        high = self._begun(self.ahead)
        # Tables of before have the greatest start of all, begun or not.
        return None if high is None else min(high, self.seen) - law.spec.lateness_secs

    def note(self, starts: Iterable[int]) -> None:
        """Take in the event windows that records came for, and those before whose time has come since."""
        known = {*self.ahead, *starts}
        self.high = self._begun(known)
        self.ahead = sorted(start for start in known if start > self.seen)[:_MOST_AHEAD]

    def _begun(self, starts: Iterable[int]) -> int | None:
        """Return the greatest start of those that have begun, or the one before."""
        begun = [start for start in starts if start <= self.seen]
        return max(begun if self.high is None else [self.high, *begun], default=None)

    def silence(self, clock: str, law: Law, *, idle: bool = True) -> Silence:
        """Return the empty windows of a clock, none of them looked for yet.

        Records arrive before they are judged: a window of arrival is empty only if nothing is on its way.
        """
        return Silence(law, self.through.get(clock), self.quiet.get(clock, 0), clock == ARRIVAL_CLOCK and not idle)

    def revises(self, clock: str) -> bool:
        """Return True if closed windows of a clock have waited long enough for their revision."""
        return clock in self.late_since and self.seen - self.late_since[clock] >= REVISE_SECS

    def note_late(self, clock: str, waiting: Iterable[int]) -> None:
        """Take in which closed windows of a clock wait for a revision now."""
        if starts := sorted(waiting):
            self.late[clock] = starts
            self.late_since.setdefault(clock, self.seen)
        else:
            self.late.pop(clock, None)
            self.late_since.pop(clock, None)

    def note_closed(self, clock: str, ends: Mapping[int, int], silence: Silence) -> None:
        """Take the windows in that were closed, or were before: the end of each by its start.

        Where empty ones between them were held back, the moment does not come past the first of those.
        """
        through, size = self.through.get(clock), silence.law.spec.size_secs
        if ends and silence.held and silence.law.sees_silence:
            through = min(ends.values()) if through is None else through
            while (following := -(-through // size) * size) in ends:
                through = ends[following]
        elif ends:
            through = max(ends.values()) if through is None else max(through, *ends.values())
        if through is not None:
            self.through[clock] = through
        self.quiet[clock] = self.quiet.get(clock, 0) + len(silence.closed)


def _never(_dataset: str, _rule: str, _at: int) -> bool:
    return False


class WindowTable:
    """Merges deltas into windows and closes them. `table` may be a Faust table's data or a dict; it is only read.

    `silenced` says whether a person asked not to be told of a rule of a dataset at a moment (microseconds). `schemas`
    are the record schemas that the registry was asked for by id, None where it knows none.
    """

    def __init__(self, table: Mapping[str, bytes], silenced: Callable[[str, str, int], bool] = _never) -> None:
        self._table = table
        self._silenced = silenced
        self._index = Index()
        self.schemas: dict[int, RecordSchema | None] = {}

    def recover(self) -> None:
        """Take the names over from the table, after it was restored or reassigned."""
        index = Index.of(list(self._table.items()))
        for clock, held in index.held.items():
            before = self._clocks(clock[0]).offset
            for name in index.pieces.get(clock, ()):
                for one in unpack_piece(self._table.get(piece_key(clock, name))).values():
                    # One that was closed by a delta that is not finished is closed again, and told the same.
                    if one.start in held and one.offset <= before:
                        index.closed.setdefault(clock, set()).add(one.start)
        self._index = index

    def _clocks(self, dataset: str) -> Clocks:
        return Clocks.unpack(self._table.get(dataset_key(dataset)))

    def plan(self, source: Source, delta: Mapping[str, Any], laws: Laws) -> Plan | None:
        """Return what one delta calls for, None if it was merged before. Raises LawNeeded, SchemaNeeded."""
        if source.offset <= self._index.positions.get(source.partition, -1):
            return None
        dataset = delta["dataset"]
        clocks, plan = self._clocks(dataset), Plan(dataset, source)
        if clocks.offset >= source.offset:
            return plan
        clocks.offset = source.offset
        clocks.seen = max(clocks.seen, source.published_at // _MICROS)
        if not (is_facts(delta) or is_learned(delta)) or not clocks.version:
            clocks.version = delta["contract_version"] or clocks.version
        if not clocks.version:
            return plan
        law = law_for(laws, dataset, clocks.version)
        files = Files(self._table, self._index, plan)
        closings = Closings(self._table, self._index, plan, laws, self._silenced, files, self._schema)
        added = self._taken(delta, law, closings, files)
        # A learner speaks of records that were judged before: it tells nothing of how far event time has come.
        clocks.note([start for clock, start in added if clock == EVENT_CLOCK and not is_learned(delta)])
        for clock_name in CLOCKS:
            mine = {start: part for (name, start), part in sorted(added.items()) if name == clock_name}
            self._close(clock_name, mine, clocks, closings, clocks.silence(clock_name, law, idle=is_idle(delta)))
        closings.write()
        plan.puts[dataset_key(dataset)] = json_bytes(vars(clocks))
        return plan

    def _taken(
        self, delta: Mapping[str, Any], law: Law, closings: Closings, files: Files
    ) -> dict[tuple[str, int], Part]:
        """Return what a delta adds to each window, and note what it says of files."""
        source = closings.plan.source
        if is_facts(delta):
            for clock, name, part in pinned_parts(delta):
                closings.references.pin((delta["dataset"], clock), name, part)
            receipts = files.take(delta)
            start = source.published_at // _MICROS // law.spec.size_secs * law.spec.size_secs
            part = Part(source.offset, law.version, receipts=receipts)
            return {(ARRIVAL_CLOCK, start): part} if receipts else {}
        if is_learned(delta):
            return learned_parts(source, delta, law)
        if law.about_files and delta["stage"] == Stage.JUDGE:
            files.count(delta)
        return _added(source, delta, law)

    def _close(
        self, clock_name: str, mine: dict[int, Part], clocks: Clocks, closings: Closings, silence: Silence
    ) -> None:
        """Put the parts of one clock into their windows, and close what its watermark has passed."""
        plan = closings.plan
        clock = plan.dataset, clock_name
        if any(part.rows for part in mine.values()):
            clocks.quiet[clock_name] = silence.quiet = 0
        late = self._late(clock, self._put_parts(clock, mine, clocks, closings), clocks)
        watermark = clocks.watermark(clock_name, silence.law)
        if watermark is not None:
            closings.close(clock, late, watermark, silence)
            clocks.note_late(clock_name, late.waiting)
        if ends := closings.ends.get(clock):
            clocks.note_closed(clock_name, closings.closed_after(clock, silence.through) | ends, silence)
        if silence.left_out:
            plan.left_out[clock_name] = silence.left_out
        for first, end in closings.forget(clock):
            clocks.gone[clock_name] = with_range(clocks.gone.get(clock_name, []), first, end)
            clocks.through[clock_name] = max(clocks.through.get(clock_name, end), end)

    def _late(self, clock: Clock, now: dict[int, Part], clocks: Clocks) -> Late:
        waiting = set(clocks.late.get(clock[1], ()))
        held = sum(sum(self._index.slots(clock, start).values()) for start in waiting)
        return Late(now, waiting, clocks.revises(clock[1]) or held > LATE_BYTES)

    def _schema(self, schema_id: int) -> RecordSchema | None:
        if schema_id not in self.schemas:
            raise SchemaNeeded(schema_id)
        return self.schemas[schema_id]

    def told(self, dataset: str) -> Told:
        """Return which receipts of a dataset's files are in its windows, and its newest registered schema."""
        return Told(self._table.get(told_key(dataset)))

    def versions(self) -> dict[str, str]:
        """Return the datasets of which anything is known, with the newest contract of each."""
        datasets = sorted({clock[0] for clock in list(self._index.held)})
        return {dataset: self._clocks(dataset).version for dataset in datasets}

    def _put_parts(self, clock: Clock, added: dict[int, Part], clocks: Clocks, closings: Closings) -> dict[int, Part]:
        """Add parts to their windows; return those of windows that were closed before."""
        late, plan, index = {}, closings.plan, self._index
        room = MOST_OPEN - len(index.open_windows(clock))
        for start, part in added.items():
            known = closings.closed_window(clock, start)
            held = index.slots(clock, start)
            gone = known is not None and not held and known.rows > 0
            forgotten = gone or within(clocks.gone.get(clock[1], ()), start)
            if is_learners(part) and (forgotten or not held):
                plan.unlearned += records_seen(part)
                continue
            if forgotten:
                plan.too_late[clock[1]] = plan.too_late.get(clock[1], 0) + part.rows
                continue
            if not held:
                room -= 1
            if not held and room < 0:
                plan.too_early[clock[1]] = plan.too_early.get(clock[1], 0) + part.rows
                continue
            self._put_part(clock, start, part, closings)
            if known is not None and (known.offset < part.offset or known.revision > 0):
                late[start] = part
        return late

    def _put_part(self, clock: Clock, start: int, part: Part, closings: Closings) -> None:
        """Add one part to its window, as an entry of its own or in a new base of all of them."""
        plan, sizes = closings.plan, self._index.slots(clock, start)
        slots = sorted_out(sizes)
        packed = {slot: self._table[part_key(clock, start, slot)] for slot in slots.live}
        if all(Part.head(data)[0] < part.offset for data in packed.values()):
            packed[delta_slot(part.offset)] = part.pack()
        new = {slot for slot in packed if slot not in slots.live}
        stale = list(slots.stale)
        if len([slot for slot in packed if slot[0] == "d"]) > MOST_PARTS:
            pieces = WindowState(map(Part.unpack, packed.values())).merged().split(PIECE_BYTES)
            stale += [slot for slot in packed if slot not in new]
            packed = dict(zip(base_slots(part.offset, len(pieces)), (piece.pack() for piece in pieces), strict=True))
            new = set(packed)
        for slot in sorted(new):
            plan.puts[part_key(clock, start, slot)] = packed[slot]
        plan.drops += [part_key(clock, start, slot) for slot in stale if slot not in packed]
        closings.parts[clock, start] = packed

    def keep(self, plan: Plan) -> None:
        """Take over what was written of a plan. Call it once all its entries are in the table and its log."""
        for key, value in plan.entries():
            if value is not None:
                self._index.note(key, value)
        for clock, starts in plan.closed.items():
            held = {start for start in starts if self._index.slots(clock, start)}
            self._index.closed.setdefault(clock, set()).update(held)
        for key in plan.drops:
            self._index.forget(key)

    def unknown_laws(self, laws: Laws) -> list[tuple[str, str]]:
        """Return the contracts, by dataset and version, that windows wait for and nobody has got yet.

        Those are of open windows, and of empty ones of a dataset all of whose windows are closed.
        """
        wanted = set()
        for clock, held in list(self._index.held.items()):
            wanted.add((clock[0], self._clocks(clock[0]).version))
            wanted |= {(clock[0], held[start].version) for start in self._index.open_windows(clock)}
        return sorted(found for found in wanted if found[1] and found not in laws)

    def due(self, now: int, laws: Laws, *, empty: bool = True) -> list[tuple[str, str]]:
        """Return the datasets, with the contract of each, that have windows which the time (seconds) closes or revises.

        A window whose contract is not at hand is not due. Without `empty` those without any record do not count.
        """
        found: dict[str, str] = {}
        for clock, held in list(self._index.held.items()):
            clocks = self._clocks(clock[0])
            law = laws.get((clock[0], clocks.version))
            if law is None:
                continue
            clocks.seen = max(clocks.seen, now)
            if clocks.revises(clock[1]):
                found[clock[0]] = clocks.version
            watermark = clocks.watermark(clock[1], law)
            if empty and watermark is not None and clocks.silence(clock[1], law).due(watermark):
                found[clock[0]] = clocks.version
            for start in self._index.open_windows(clock):
                own = laws.get((clock[0], held[start].version or clocks.version))
                if own is not None and watermark is not None and start + own.spec.size_secs <= watermark:
                    found[clock[0]] = clocks.version
        return sorted(found.items())


def tick_of(dataset: str, version: str, *, idle: bool) -> dict[str, Any]:
    """Return the message that tells the time, and with `idle` that no file of the dataset is on its way."""
    return facts_values(dataset, version, {"idle": idle}) | {"stage": TICK}


def is_idle(delta: Mapping[str, Any]) -> bool:
    """Return True for a tick that says that no file of its dataset was on its way when it was sent."""
    return delta["stage"] == TICK and bool(json.loads(delta.get("facts") or "{}").get("idle"))


def _added(source: Source, delta: Mapping[str, Any], law: Law) -> dict[tuple[str, int], Part]:
    """Return what a delta adds to each window. Rows that a reader put aside have no event time: they only arrive."""
    found: dict[tuple[str, int], list[Part]] = {}
    for window in delta["windows"]:
        part = Part.of_delta(source.offset, delta, window)
        found.setdefault((window["clock"], window["start"]), []).append(part)
    if delta["stage"] == Stage.READ and delta["rows"]:
        size = law.spec.size_secs
        start = source.published_at // _MICROS // size * size
        name = delta["name"] or delta["file"]
        put_aside = Part(source.offset, law.version, unreadable={name: delta["rows"]})
        found.setdefault((ARRIVAL_CLOCK, start), []).append(put_aside)
    return {place: parts[0] if len(parts) == 1 else WindowState(parts).merged() for place, parts in found.items()}
