"""What the stored rows say of a learner's findings: those it flagged or lost most on, and what a drift cost it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.learner_spec import LearnerSpec
from headrace.stream_processors.steps import learner_sql, segment_sql
from headrace.stream_processors.steps.model_effect import Effect, Losses, effect_of

Rows = Callable[[str], list[tuple[Any, ...]]]
Specs = Callable[[], Iterable[LearnerSpec]]


@dataclass(frozen=True)
class Finding:
    """Which rows a learner's finding is about: a condition, words, and the query for the rows to look at first."""

    condition: str = ""
    said: tuple[str, ...] = ()
    samples: str = ""
    inside: str = ""
    earlier: str = ""
    spec: LearnerSpec | None = None


class LearnerEvidence:
    """Asks the warehouse. Calls block; they raise ServiceUnreachable and WarehouseRefused.

    `specs` gives the learners of the home as they are now.
    """

    def __init__(self, rows: Rows, specs: Specs) -> None:
        self._rows, self._specs = rows, specs

    def finding(self, contract: Contract, rule: CheckRule, inside: str, earlier: str, most: int) -> Finding:
        """Return which rows of a window (`inside`) a rule about a learner is about; `earlier` is the time before."""
        learner = str(rule.parameters["learner"])
        if rule.check == "anomaly_share":
            return Finding(learner_sql.anomalous_condition(contract, learner, inside))
        spec = next((one for one in self._specs() if one.name == learner), None)
        if spec is None or not self._is_told(spec):
            return Finding()
        now = learner_sql.losses_query(contract, spec, inside)
        before = self._rows(learner_sql.usual_query(learner_sql.losses_query(contract, spec, earlier)))[0]
        lost = self._rows(learner_sql.usual_query(now))[0]
        if not before[2] or not lost[2]:
            return Finding()
        said = f"{learner} lost {lost[0]:.4g} a record here, {before[0]:.4g} in earlier ones."
        # A model that is led astray loses more on all rows: those that lead it lose more than the mean of the window.
        above = max(float(before[1]), float(lost[0]))
        condition, samples = learner_sql.lossy_condition(now, above), learner_sql.worst_query(now, most)
        return Finding(condition, (said,), samples, inside, earlier, spec)

    def of_segment(self, contract: Contract, found: Finding, parts: Mapping[str, str]) -> tuple[str, ...]:
        """Return in words what the learner lost in the segment that holds the problem, and what elsewhere."""
        if found.spec is None or not parts:
            return ()
        shown = learner_sql.in_segment(contract, parts)
        now, before = (
            self._parts(learner_sql.losses_query(contract, found.spec, where, shown))
            for where in (found.inside, found.earlier)
        )
        if not now[0].rows or not now[1].rows:
            return ()
        usual, rest = (f", {one.mean:.4g} before" if one.rows else "" for one in before)
        return (f"There it lost {now[0].mean:.4g} a record{usual}; elsewhere {now[1].mean:.4g}{rest}.",)

    def concerned(self, contract: Contract, fields: Sequence[str]) -> list[LearnerSpec]:
        """Return the learners of which one of some fields is a feature, and whose loss the stored rows tell."""
        return [
            spec
            for spec in self._specs()
            if spec.dataset == contract.dataset and set(fields) & set(spec.features) and self._is_told(spec)
        ]

    def predicted(self, contract: Contract, fields: Sequence[str], inside: str) -> int | None:
        """Return how many rows of a window each learner concerned has predicted at least; None where there is none."""
        counts = [
            int(self._rows(segment_sql.totals_query(contract, condition, inside))[0][0])
            for spec in self.concerned(contract, fields)
            for condition in [learner_sql.predicted_condition(contract, spec.name, inside)]
        ]
        return min(counts, default=None)

    def effects(
        self, contract: Contract, fields: Sequence[str], condition: str, inside: str, earlier: str
    ) -> tuple[Effect, ...]:
        """Return what the rows of a drifted part cost each learner that has the field as a feature, dearest first."""
        found = []
        for spec in self.concerned(contract, fields):
            queries = [learner_sql.losses_query(contract, spec, where, condition) for where in (inside, earlier)]
            effect = effect_of(spec.name, *map(self._parts, queries))
            found += [effect] if effect is not None else []
        return tuple(sorted(found, key=lambda one: (-one.share, one.learner)))

    def _is_told(self, spec: LearnerSpec) -> bool:
        """Return True for a learner that is judged by labels, and whose labels can be looked up."""
        if spec.label is None or spec.late is None:
            return spec.label is not None
        return bool(self._rows(learner_sql.table_query(spec.late.dataset))[0][0])

    def _parts(self, losses: str) -> tuple[Losses, Losses]:
        row = self._rows(learner_sql.parts_query(losses))[0]
        inside, outside = (Losses(float(row[at]), float(row[at + 1]), int(row[at + 2])) for at in (0, 3))
        return inside, outside
