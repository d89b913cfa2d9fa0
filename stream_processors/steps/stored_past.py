"""What earlier windows leave to the verdicts of later ones, when windows are evaluated one after another. Pure.

The same as the stream keeps (`window_known`), without its bounds of storage: history, facts and references.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.steps.closed_windows import MOST_PIECES, PIECE_WINDOWS
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.stored_state import Kept
from headrace.stream_processors.steps.verdicts import Known
from headrace.stream_processors.steps.window_known import (
    Carried,
    carried_facts,
    compared_rules,
    labels_to_learn,
    labels_to_read,
    learned,
    reference_part,
    reference_views,
    stale_labels,
    unreadable_references,
)
from headrace.stream_processors.steps.window_record import observed_of
from headrace.stream_processors.steps.window_state import Part, WindowState

MOST_HISTORY: Final = MOST_PIECES * PIECE_WINDOWS


class Past:
    """Windows seen so far, oldest first. For one clock of one dataset."""

    def __init__(self, rules: Sequence[CheckRule]) -> None:
        self._rules = rules
        self._compared = compared_rules(rules)
        self._unreferenced = unreadable_references(rules)
        self._history: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._carried: Carried = {}
        self._labels: dict[str, Part] = {}

    def known(self, start: int, end: int, given: Mapping[str, Any], clock: str = "") -> Known:
        """Return what is known when a window is evaluated; `given` are facts that the caller has."""
        views, problems = reference_views(
            self._compared, lambda reference: self._parts(reference, start, end), start, end
        )
        return Known(
            facts=given,
            rule_facts=carried_facts(self._rules, self._carried, start),
            history=self._history,
            references=views,
            clock=clock,
            problems={**self._unreferenced, **problems},
        )

    def _parts(self, reference: str, start: int, end: int) -> list[Part]:
        labels = labels_to_read(reference, start, end - start)
        return [self._labels[label] for label in labels if label in self._labels]

    def learn(self, start: int, end: int, judged: Sequence[Judged], kept: Kept | None) -> None:
        """Add a window that was evaluated."""
        for one in judged:
            value = observed_of(one.verdict)
            if value is not None and check_named(one.rule.check).reads_history:
                self._history[one.rule.id] = [*self._history[one.rule.id][1 - MOST_HISTORY :], (start, value)]
        if kept is None:
            return
        state = WindowState([kept.part])
        self._carried = learned(self._carried, self._rules, state)
        for label in labels_to_learn([reference for _, reference in self._compared.values()], start, end - start):
            new, old = reference_part(state, self._compared), self._labels.get(label)
            both = new if old is None else WindowState([old, new]).merged()
            self._labels[label] = new if both.unmerged else both
        for label in stale_labels(self._labels, start):
            del self._labels[label]
