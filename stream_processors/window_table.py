"""Windows in a table that survives a kill at any moment: what one delta changes, closes and tells.

Nothing changes while a delta is planned. Then its messages are published, then its entries are written in the order of
`Plan.entries`, the position last, then what is no longer needed is deleted. A kill in between repeats the delta. Parts
it wrote are found under its offset. Before any closed window is written, lives, references and what was seen are as
they were, so the messages come again and are equal; after that all of them were published, and only what is not
written yet is made.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.core.vocabulary import Stage
from headrace.stream_processors.steps.closed_windows import Ranges, unpack_piece, with_range, within
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK
from headrace.stream_processors.steps.window_slots import MOST_PARTS, PIECE_BYTES, base_slots, delta_slot, sorted_out
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.window_closing import Closings
from headrace.stream_processors.window_index import (
    Clock,
    Index,
    dataset_key,
    json_bytes,
    part_key,
    piece_key,
)
from headrace.stream_processors.window_law import Law, Laws, law_for
from headrace.stream_processors.window_plan import Plan, Source

CLOCKS: Final = (EVENT_CLOCK, ARRIVAL_CLOCK)
ARRIVAL_GRACE_SECS: Final = 30
"""How long a window of arrival waits for the judge after its end: deltas come after the records."""
MOST_OPEN: Final = 20_000
"""Open windows of a clock. A delta for one more is told as too early: a date in 2099 must not fill the memory."""
TICK: Final = "tick"
"""The stage of a message without rows that only says how late it is, so that windows of a silent dataset close."""
_MICROS = 1_000_000


@dataclass
class Clocks:
    """How far a dataset's clocks have come, and which windows were forgotten.

    `high` is the greatest start of an event window seen, `seen` the greatest publish time in seconds.
    """

    offset: int = -1
    high: int | None = None
    seen: int = 0
    version: str = ""
    gone: dict[str, Ranges] = field(default_factory=dict)

    @classmethod
    def unpack(cls, data: bytes | None) -> "Clocks":
        """Return the clocks of an entry; of None those of a dataset that was never seen."""
        return cls(**json.loads(data)) if data else cls()

    def watermark(self, clock: str, law: Law) -> int | None:
        """Return up to when a clock's windows are held to be complete, in seconds.

        Event time beyond the time of publishing is a mistake of somebody's clock: it closes nothing.
        """
        if clock == ARRIVAL_CLOCK:
            return self.seen - ARRIVAL_GRACE_SECS
        return None if self.high is None else min(self.high, self.seen) - law.spec.lateness_secs


def _never(_dataset: str, _rule: str, _at: int) -> bool:
    return False


class WindowTable:
    """Merges deltas into windows and closes them. `table` may be a Faust table's data or a dict; it is only read.

    `silenced` says whether a person asked not to be told of a rule of a dataset at a moment (microseconds).
    """

    def __init__(self, table: Mapping[str, bytes], silenced: Callable[[str, str, int], bool] = _never) -> None:
        self._table = table
        self._silenced = silenced
        self._index = Index()

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
        """Return what one delta calls for, None if it was merged before. Raises LawNeeded."""
        if source.offset <= self._index.positions.get(source.partition, -1):
            return None
        dataset = delta["dataset"]
        clocks, plan = self._clocks(dataset), Plan(dataset, source)
        if clocks.offset >= source.offset:
            return plan
        clocks.offset = source.offset
        clocks.seen = max(clocks.seen, source.published_at // _MICROS)
        clocks.version = delta["contract_version"] or clocks.version
        if not clocks.version:
            return plan
        law = law_for(laws, dataset, clocks.version)
        added = _added(source, delta, law)
        starts = [start for clock, start in added if clock == EVENT_CLOCK]
        if starts:
            clocks.high = max(starts) if clocks.high is None else max(clocks.high, *starts)
        closings = Closings(self._table, self._index, plan, laws, self._silenced)
        for clock_name in CLOCKS:
            clock = dataset, clock_name
            mine = {start: part for (name, start), part in sorted(added.items()) if name == clock_name}
            late = self._put_parts(clock, mine, clocks, closings)
            watermark = clocks.watermark(clock_name, law)
            if watermark is not None:
                closings.close(clock, late, watermark)
            forgotten = closings.forget(clock)
            for first, end in forgotten:
                clocks.gone[clock_name] = with_range(clocks.gone.get(clock_name, []), first, end)
        closings.write()
        plan.puts[dataset_key(dataset)] = json_bytes(vars(clocks))
        return plan

    def _put_parts(self, clock: Clock, added: dict[int, Part], clocks: Clocks, closings: Closings) -> dict[int, Part]:
        """Add parts to their windows; return those of windows that were closed before."""
        late, plan, index = {}, closings.plan, self._index
        room = MOST_OPEN - len(index.open_windows(clock))
        for start, part in added.items():
            known = closings.closed_window(clock, start)
            held = index.slots(clock, start)
            if (known is not None and not held) or within(clocks.gone.get(clock[1], ()), start):
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
            self._index.closed.setdefault(clock, set()).update(starts)
        for key in plan.drops:
            self._index.forget(key)

    def unknown_laws(self, laws: Laws) -> list[tuple[str, str]]:
        """Return the contracts, by dataset and version, that open windows wait for and nobody has got yet."""
        wanted = set()
        for clock, held in list(self._index.held.items()):
            if waiting := self._index.open_windows(clock):
                wanted.add((clock[0], self._clocks(clock[0]).version))
                wanted |= {(clock[0], held[start].version) for start in waiting}
        return sorted(found for found in wanted if found[1] and found not in laws)

    def due(self, now: int, laws: Laws) -> list[tuple[str, str]]:
        """Return the datasets, with the contract of each, that have windows which the time (seconds) closes by itself.

        A window whose contract is not at hand is not due.
        """
        found: dict[str, str] = {}
        for clock, held in list(self._index.held.items()):
            clocks = self._clocks(clock[0])
            law = laws.get((clock[0], clocks.version))
            if law is None:
                continue
            clocks.seen = max(clocks.seen, now)
            watermark = clocks.watermark(clock[1], law)
            for start in self._index.open_windows(clock):
                own = laws.get((clock[0], held[start].version or clocks.version))
                if own is not None and watermark is not None and start + own.spec.size_secs <= watermark:
                    found[clock[0]] = clocks.version
        return sorted(found.items())


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
