"""What earlier windows leave for later ones to be compared with: pieces of reference, each an entry of a clock."""

from collections.abc import Mapping
from dataclasses import replace

from headrace.stream_processors.steps.window_known import (
    labels_to_learn,
    labels_to_read,
    pinned_label,
    reference_part,
)
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.window_index import Clock, label_key
from headrace.stream_processors.window_law import Law
from headrace.stream_processors.window_plan import Plan


class References:
    """The references of one plan. A piece has the offset of the delta it learned last: none counts twice."""

    def __init__(self, table: Mapping[str, bytes], plan: Plan) -> None:
        self._table, self._plan = table, plan
        self._learned: dict[tuple[Clock, str], Part] = {}

    def __contains__(self, place: tuple[Clock, str]) -> bool:
        return place in self._learned

    def read(self, clock: Clock, reference: str, start: int, end: int) -> list[Part]:
        """Return the pieces that a window is compared with."""
        labels = labels_to_read(reference, start, end - start)
        return [part for label in labels if (part := self._piece(clock, label)) is not None]

    def learn(self, clock: Clock, start: int, added: WindowState, law: Law) -> None:
        """Add what came for a closed window to the pieces that it belongs to."""
        offset = self._plan.source.offset
        references = [reference for _, reference in law.compared.values()]
        for label in labels_to_learn(references, start, law.spec.size_secs):
            old = self._piece(clock, label)
            written = (clock, label) not in self._learned and old is not None
            if written and old is not None and old.offset >= offset:
                continue
            new = replace(reference_part(added, law.compared), offset=offset)
            both = new if old is None else WindowState([old, new]).merged()
            # Figures of another contract that do not merge are no reference any more.
            self._learned[clock, label] = new if both.unmerged else both

    def pin(self, clock: Clock, name: str, part: Part) -> None:
        """Keep a reference under a name, from now on and instead of another one of that name."""
        self._learned[clock, pinned_label(name)] = replace(part, offset=self._plan.source.offset)

    def write(self) -> None:
        """Add what was learned to the plan's entries."""
        for (clock, label), part in self._learned.items():
            self._plan.puts[label_key(clock, label)] = part.pack()

    def _piece(self, clock: Clock, label: str) -> Part | None:
        if (clock, label) in self._learned:
            return self._learned[clock, label]
        data = self._table.get(label_key(clock, label))
        return None if data is None else Part.unpack(data)
