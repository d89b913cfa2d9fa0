"""Closing and revising windows: one plan's verdicts, records, alerts, and what they leave behind for later windows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from headrace.schemas.check_catalog import check_named, check_names
from headrace.stream_processors.steps.closed_windows import (
    MOST_PIECES,
    ClosedWindow,
    Piece,
    PieceName,
    history_of,
    pack_piece,
    unpack_piece,
)
from headrace.stream_processors.steps.schema_facts import SchemaOf, facts_of_schemas
from headrace.stream_processors.steps.unchecked import Unchecked, stepped, unchecked_json, unchecked_of
from headrace.stream_processors.steps.verdicts import Evaluated, Known, evaluate, learner_behind
from headrace.stream_processors.steps.window_alerts import (
    CONTRACT,
    Lived,
    Lives,
    Teller,
    step_learned,
    step_window,
    unseen_alert,
)
from headrace.stream_processors.steps.window_facts import facts_text, window_facts
from headrace.stream_processors.steps.window_known import (
    Carried,
    carried_facts,
    learned,
    reference_views,
    stale_labels,
)
from headrace.stream_processors.steps.window_record import Closed, observed_of, window_record
from headrace.stream_processors.steps.window_slots import PIECE_BYTES, base_slots, sorted_out
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.window_files import Files
from headrace.stream_processors.window_index import (
    Clock,
    Index,
    clock_key,
    json_bytes,
    label_key,
    part_key,
    piece_key,
    unchecked_key,
)
from headrace.stream_processors.window_late import Late
from headrace.stream_processors.window_law import Law, Laws, law_for
from headrace.stream_processors.window_learned import is_learners
from headrace.stream_processors.window_plan import Plan
from headrace.stream_processors.window_references import References
from headrace.stream_processors.window_silence import Silence
from headrace.stream_processors.window_waiting import WAITING_BYTES, Waiting

KEPT_BYTES: Final = 256 * 1024
"""Parts of a clock's closed windows that are kept for late rows: of those that rows came for last, at least of one."""
_OF_SCHEMAS = frozenset({"schema_match", "schema_change"})


class Closings:
    """The closings of one plan. Reads the table through what the plan has changed so far."""

    def __init__(
        self,
        table: Mapping[str, bytes],
        index: Index,
        plan: Plan,
        laws: Laws,
        silenced: Callable[[str, str, int], bool],
        files: Files,
        schema_of: SchemaOf,
    ) -> None:
        self.plan = plan
        self.parts: dict[tuple[Clock, int], dict[str, bytes]] = {}
        self.ends: dict[Clock, dict[int, int]] = {}
        self._table, self._index, self._laws, self._silenced = table, index, laws, silenced
        self._pieces: dict[tuple[Clock, PieceName], Piece] = {}
        self._changed: set[tuple[Clock, PieceName]] = set()
        self._lives: dict[Clock, Lives] = {}
        self._carried: dict[Clock, Carried] = {}
        self._late: dict[Clock, Late] = {}
        self.references = References(table, plan)
        self._repeats = False
        self._files, self._schema_of = files, schema_of
        self._waits: dict[Clock, Waiting] = {}
        self._unchecked: dict[str, Unchecked] | None = None
        self._unchecked_offset = -1

    def _piece(self, clock: Clock, name: PieceName) -> Piece:
        found = self._pieces.get((clock, name))
        if found is None:
            found = unpack_piece(self._table.get(piece_key(clock, name)))
            self._pieces[clock, name] = found
        return found

    def closed_window(self, clock: Clock, start: int) -> ClosedWindow | None:
        """Return what is known of a window that was closed, None of one that was not."""
        for name in self._index.pieces.get(clock, ()):
            if name.holds(start) and (found := self._piece(clock, name).get(start)):
                return found
        return None

    def close(self, clock: Clock, late: Late, watermark: int, silence: Silence) -> None:
        """Close the windows that the watermark has passed, and revise those whose late rows have waited, in order.

        When a window closes nothing waits any longer: its verdict looks back on all that is known.
        """
        mine = {start for known, start in self.parts if known == clock}
        laws = {
            start: self._law(clock, self._version(clock, start))
            for start in sorted({*self._index.open_windows(clock), *mine, *late.waiting})
        }
        self._late[clock] = late
        for start, part in late.now.items():
            if not is_learners(part):
                late.waiting.add(start)
                self.references.learn(clock, start, WindowState([part]), laws[start])
        ends = {start: start + law.spec.size_secs for start, law in laws.items()}
        empty = silence.missing(ends, self.closed_after(clock, silence.through), watermark)
        revised = late.waiting | set(late.now)
        closes = {start for start, end in ends.items() if end <= watermark and start not in revised}
        due = late.waiting.copy() if late.due or closes or empty else set[int]()
        for start in sorted({*closes, *empty, *late.now, *due}):
            if start in empty:
                self._judge(clock, start, WindowState(), silence.law, watermark)
                continue
            state = self._state(clock, start)
            if start in closes:
                self._judge(clock, start, state, laws[start], watermark)
            elif start in due or (start not in late.waiting and self._says_enough(clock, start, state, laws[start])):
                self._judge(clock, start, state, laws[start], watermark, late=late.now.get(start))
                late.waiting.discard(start)

    def _version(self, clock: Clock, start: int) -> str:
        """Return the contract that the newest of a window's parts names."""
        if (clock, start) not in self.parts:
            return self._index.held[clock][start].version
        heads = sorted(map(Part.head, self.parts[clock, start].values()))
        return next((version for _, version in reversed(heads) if version), "")

    def _says_enough(self, clock: Clock, start: int, state: WindowState, law: Law) -> bool:
        """Return True unless the learner that says something of a closed window is not through it yet.

        What was judged before a kill is judged again.
        """
        known = self.closed_window(clock, start)
        if known is not None and known.offset >= self.plan.source.offset:
            return True
        rules = self._waits_of(clock).of(start)
        return any(rule.id in rules and not learner_behind(rule, state) for rule in law.rules)

    def _waits_of(self, clock: Clock) -> Waiting:
        if clock not in self._waits:
            self._waits[clock] = Waiting(self._table.get(clock_key("l", clock)))
        return self._waits[clock]

    def closed_after(self, clock: Clock, moment: int | None) -> dict[int, int]:
        """Return the windows from a moment on that earlier deltas closed: the end of each by its start."""
        return {
            start: start + name.size
            for name in self._index.pieces.get(clock, ())
            if moment is not None and name.end > moment
            for start, one in self._piece(clock, name).items()
            if start >= moment and one.offset < self.plan.source.offset
        }

    def _law(self, clock: Clock, version: str) -> Law:
        return law_for(self._laws, clock[0], version)

    def _state(self, clock: Clock, start: int) -> WindowState:
        known = self.parts.get((clock, start))
        if known is None:
            live = sorted_out(self._index.slots(clock, start)).live
            known = {slot: self._table[part_key(clock, start, slot)] for slot in live}
        return WindowState(map(Part.unpack, known.values()))

    def _judge(
        self, clock: Clock, start: int, state: WindowState, law: Law, watermark: int, *, late: Part | None = None
    ) -> None:
        """Tell a window with its verdicts; `late` is what this delta has for one that was closed before."""
        source, known = self.plan.source, self.closed_window(clock, start)
        # Closed windows are written after everything is published: what is found here needs no second telling, and what
        # stands stays. The rest of its entries are made again from what they were made of.
        repeated = known is not None and known.offset >= source.offset
        self._repeats = self._repeats or repeated
        revision = 0 if known is None else known.revision + (0 if repeated else 1)
        end = start + law.spec.size_secs
        closed = Closed(clock[0], clock[1], start, end, revision, source.published_at, law.version)
        known_facts = self._facts(clock, closed, state, law, watermark)
        evaluated = self._evaluated(clock, closed, state, law, known_facts)
        problems = [law.problem] if law.problem else []
        self.plan.windows.append(
            window_record(
                closed,
                state,
                evaluated,
                law.fields,
                masked=law.masked,
                critical=law.critical,
                problems=problems,
                facts=facts_text(known_facts, state),
            )
        )
        self._settle(clock, start, state)
        self._step(clock, closed, state, evaluated, law)
        if not repeated:
            self._note_closed(clock, closed, state, evaluated)
        self.plan.closed.setdefault(clock, set()).add(start)
        self.ends.setdefault(clock, {})[start] = end
        self._carried[clock] = learned(self._carried_of(clock), law.rules, state)
        # Late rows were learned when they came.
        if not revision:
            self.references.learn(clock, start, state, law)
        elif late is not None and is_learners(late):
            self.references.learn(clock, start, WindowState([late]), law)

    def _step(self, clock: Clock, closed: Closed, state: WindowState, evaluated: Evaluated, law: Law) -> None:
        """Step the lives of alerts: of all rules when a window closes, later of those that waited for a learner."""
        waits, everything = self._waits_of(clock), {one.rule.id for one in evaluated.judged}
        due = waits.due(closed.start, evaluated.waiting) & everything
        if not closed.revision or due:
            told = partial(self._silenced, clock[0])
            teller = Teller(law.owner, law.masked, lambda rule: told(rule, closed.closed_at))
            step = partial(step_learned, due) if closed.revision else step_window
            self._lives[clock], alerts = step(self._lives_of(clock), closed, state, evaluated, law.life, teller)
            self.plan.alerts += alerts
            idle = evaluated.idle | (everything - due if closed.revision else set())
            self._step_unchecked(closed, state, replace(evaluated, idle=idle), law, teller)
        waits.note(closed.start, evaluated.waiting, revision=closed.revision)

    def _settle(self, clock: Clock, start: int, state: WindowState) -> None:
        """Put a closed window's parts into one base: it may wait for late rows for long, and few come."""
        if len(state.parts) <= 1:
            return
        pieces = replace(state.merged(), offset=self.plan.source.offset).split(PIECE_BYTES)
        slots = base_slots(self.plan.source.offset, len(pieces))
        packed = dict(zip(slots, (piece.pack() for piece in pieces), strict=True))
        for slot in self.parts.get((clock, start), {}):
            if slot not in packed:
                self.plan.puts.pop(part_key(clock, start, slot), None)
        for slot, data in packed.items():
            self.plan.puts[part_key(clock, start, slot)] = data
        stale = {part_key(clock, start, slot) for slot in self._index.slots(clock, start) if slot not in packed}
        self.plan.drops += sorted(stale.difference(self.plan.drops))
        self.parts[clock, start] = packed

    def _evaluated(
        self, clock: Clock, closed: Closed, state: WindowState, law: Law, known_facts: Mapping[str, Any]
    ) -> Evaluated:
        if law.problem:
            return Evaluated((), {}, {CONTRACT: law.problem})
        names = self._index.pieces.get(clock, set()) | {name for own, name in self._pieces if own == clock}
        pieces = [self._piece(clock, name) for name in names]
        views, problems = reference_views(
            law.compared,
            lambda reference: self.references.read(clock, reference, closed.start, closed.end),
            closed.start,
            closed.end,
        )
        known = Known(
            facts=known_facts,
            rule_facts=carried_facts(law.rules, self._carried_of(clock), closed.start),
            history=history_of(pieces, closed.start),
            references=views,
            clock=closed.clock,
            problems={**law.unreferenced, **problems},
        )
        return evaluate(law.rules, state, closed.start, closed.end, known)

    def _facts(self, clock: Clock, closed: Closed, state: WindowState, law: Law, watermark: int) -> dict[str, Any]:
        """Return what is known beside rows; raises SchemaNeeded where the registry has to be asked first."""
        found = window_facts(closed, state, watermark)
        checks = {rule.id: rule.check for rule in law.rules if rule.check in _OF_SCHEMAS}
        if not checks:
            return found
        registered = self._files.told().schema_id
        return found | facts_of_schemas(checks, state, self._carried_of(clock), registered, self._schema_of)

    def _step_unchecked(
        self, closed: Closed, state: WindowState, evaluated: Evaluated, law: Law, teller: Teller
    ) -> None:
        size = closed.end - closed.start
        self._unchecked, told = stepped(
            self._unchecked_before(),
            evaluated,
            size,
            closed.closed_at,
            after=law.life.unchecked_after,
            resolve=law.life.resolve_after,
        )
        self.plan.alerts += [unseen_alert(one, closed, state, teller) for one in told]

    def _unchecked_before(self) -> dict[str, Unchecked]:
        if self._unchecked is None:
            data = json.loads(self._table.get(unchecked_key(self.plan.dataset)) or b'{"offset": -1, "rules": {}}')
            self._unchecked_offset, self._unchecked = data["offset"], unchecked_of(data["rules"])
        return self._unchecked

    def _lives_of(self, clock: Clock) -> Lives:
        if clock not in self._lives:
            data = json.loads(self._table.get(clock_key("a", clock)) or b"{}")
            self._lives[clock] = {name: Lived.from_json(values) for name, values in data.items()}
        return self._lives[clock]

    def _carried_of(self, clock: Clock) -> Carried:
        if clock not in self._carried:
            self._carried[clock] = json.loads(self._table.get(clock_key("k", clock)) or b"{}")
        return self._carried[clock]

    def _note_closed(self, clock: Clock, closed: Closed, state: WindowState, evaluated: Evaluated) -> None:
        observed = {
            one.rule.id: value
            for one in evaluated.judged
            if _reads_history(one.rule.check) and (value := observed_of(one.verdict)) is not None
        }
        name = PieceName.of(closed.start, closed.end - closed.start)
        window = ClosedWindow(closed.start, self.plan.source.offset, closed.revision, state.rows, observed)
        self._piece(clock, name)[closed.start] = window
        self._changed.add((clock, name))

    def forget(self, clock: Clock) -> list[tuple[int, int]]:
        """Plan what is deleted of a clock; return the ranges of windows that fall out of the ring."""
        if clock not in self.plan.closed:
            return []
        newest = max(self.plan.closed[clock])
        labels = stale_labels(self._index.labels.get(clock, ()), newest)
        self.plan.drops += [label_key(clock, label) for label in labels if (clock, label) not in self.references]
        names = {*self._index.pieces.get(clock, ()), *(name for own, name in self._changed if own == clock)}
        oldest = sorted(names)[: max(0, len(names) - MOST_PIECES)]
        self._waits_of(clock).forget_before(max((name.end for name in oldest), default=-(2**62)))
        self._forget_parts(clock)
        for name in oldest:
            if (clock, name) in self._changed:
                self._changed.discard((clock, name))
            if name in self._index.pieces.get(clock, ()):
                self.plan.drops.append(piece_key(clock, name))
        return [(name.first, name.end) for name in oldest]

    def _forget_parts(self, clock: Clock) -> None:
        """Plan to delete the parts of closed windows that are too much: of those that rows came for longest ago."""
        known = (self._index.closed.get(clock, set()) | self.plan.closed[clock]) - self._late[clock].waiting
        closed = [start for start in known if (clock, start) in self.parts or self._index.slots(clock, start)]
        waits, dropped = self._waits_of(clock), set[str]()
        left = {False: KEPT_BYTES, True: WAITING_BYTES}
        for number, start in enumerate(sorted(closed, key=lambda start: self._touched(clock, start), reverse=True)):
            held, parts = self._index.slots(clock, start), self.parts.get((clock, start))
            left[start in waits] -= sum(held.values()) if parts is None else sum(map(len, parts.values()))
            if left[start in waits] < 0 and number:
                dropped.update(part_key(clock, start, slot) for slot in {*held, *(parts or ())})
                waits.forget(start)
        self.plan.drops += sorted(dropped.difference(self.plan.drops))

    def _touched(self, clock: Clock, start: int) -> tuple[int, int]:
        if (clock, start) in self.parts:
            return self.plan.source.offset, start
        return self._index.held[clock][start].offset, start

    def write(self) -> None:
        """Add the entries of all closings to the plan: closed windows first, what they begin from after them."""
        puts = self.plan.puts
        if self._repeats:
            self.plan.windows.clear()
            self.plan.alerts.clear()
        for clock, name in sorted(self._changed):
            puts[piece_key(clock, name)] = pack_piece(self._piece(clock, name))
        for clock, lives in self._lives.items():
            puts[clock_key("a", clock)] = json_bytes({name: lived.to_json() for name, lived in lives.items()})
        for clock in self.plan.closed:
            puts[clock_key("k", clock)] = json_bytes(self._carried[clock])
        if self._unchecked is not None and self._unchecked_offset < self.plan.source.offset:
            rules = unchecked_json(self._unchecked)
            puts[unchecked_key(self.plan.dataset)] = json_bytes({"offset": self.plan.source.offset, "rules": rules})
        self.references.write()
        # Last: a repeat finds what waited until all that follows from its verdict is written.
        for clock, waits in self._waits.items():
            if waits.changed:
                puts[clock_key("l", clock)] = waits.pack()


def _reads_history(check: str) -> bool:
    return check in check_names() and bool(getattr(check_named(check), "reads_history", False))
