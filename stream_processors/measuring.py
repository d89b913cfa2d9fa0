"""What following an advice did: the figures of its rule in the windows around the decision, from the warehouse."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from headrace.core.clock import micros as micros_of
from headrace.stream_processors.checks.base import Outcome
from headrace.stream_processors.steps.advice_outcome import FEW, Figure, Measured, measured, sides
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK
from headrace.transport.warehouse import Warehouse

FOLLOWED: Final = frozenset({"accepted", "done"})
"""States of an advice that is followed: "accepted" has moved or is not told yet, "done" is told either way."""
_KEPT: Final = 200
_VERDICT: Final = ("outcome", "observed", "error", "lower", "upper", "unit", "rows")
_FIGURES: Final = f"""
SELECT clock, toUnixTimestamp64Micro(w.start), toUnixTimestamp64Micro(any(w.end)),
    toUnixTimestamp64Micro(min(w.closed_at)),
    argMax(arrayMap(v -> ({", ".join(f"tupleElement(v, '{name}')" for name in _VERDICT)}),
        arrayFilter(v -> tupleElement(v, 'rule') = {{rule:String}}, verdicts)), revision)
FROM headrace.window_entries AS w FINAL
WHERE _deleted = 0 AND dataset = {{dataset:String}} GROUP BY clock, w.start ORDER BY w.start DESC LIMIT 1000
"""  # noqa: S608  what is put in is a constant
Place = tuple[str, int]
Seen = tuple[int, int, Mapping[str, Mapping[str, Any]]]


class Measurer:
    """Compares; blocks for a query a call. Windows come to `note` first: the warehouse has them a little later."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._seen: dict[str, OrderedDict[Place, Seen]] = {}

    def note(self, window: Mapping[str, Any]) -> None:
        """Keep what a window of quality.windows says of its rules."""
        seen = self._seen.setdefault(window["dataset"], OrderedDict())
        place = (window["clock"], micros(window["start"]))
        first = seen[place][1] if place in seen else micros(window["closed_at"])
        verdicts = {one["rule"]: {name: one[name] for name in _VERDICT} for one in window["verdicts"]}
        seen[place] = (micros(window["end"]), first, verdicts)
        while len(seen) > _KEPT:
            seen.popitem(last=False)

    def outcome(self, advice: Mapping[str, Any]) -> Measured | None:
        """Return what followed on an advice that a person accepted or did, None while that cannot be told.

        Raises ServiceUnreachable and WarehouseRefused.
        """
        decided_at = advice["decided_at"]
        if advice["state"] not in FOLLOWED or not advice["rule"] or decided_at is None:
            return None
        found = self._figures(advice["dataset"], advice["rule"])
        # Event time if enough of its windows have a verdict; a dataset or a rule without it goes by arrival.
        chosen = next((found[clock] for clock in (EVENT_CLOCK, ARRIVAL_CLOCK) if _enough(found[clock], decided_at)), [])
        told = measured(chosen, decided_at)
        return None if told is None or (not told.moved and advice["state"] == "accepted") else told

    def _figures(self, dataset: str, rule: str) -> dict[str, list[Figure]]:
        found: dict[Place, Figure] = {}
        for clock, start, end, closed_at, verdicts in self._warehouse.rows(
            _FIGURES, {"dataset": dataset, "rule": rule}
        ):
            for values in verdicts:
                verdict = dict(zip(_VERDICT, values.values() if isinstance(values, dict) else values, strict=True))
                found[str(clock), int(start)] = _figure(int(start), int(end), int(closed_at), verdict)
        for (clock, start), (end, closed_at, by_rule) in self._seen.get(dataset, {}).items():
            if rule in by_rule:
                first = min(closed_at, found[clock, start].closed_at) if (clock, start) in found else closed_at
                found[clock, start] = _figure(start, end, first, by_rule[rule])
            else:
                found.pop((clock, start), None)
        by_clock: dict[str, list[Figure]] = {EVENT_CLOCK: [], ARRIVAL_CLOCK: []}
        for (clock, _), figure in found.items():
            if figure.observed is not None or figure.failed:
                by_clock[clock].append(figure)
        return by_clock


def _enough(figures: list[Figure], decided_at: int) -> bool:
    return min(map(len, sides(figures, decided_at))) >= FEW


def _figure(start: int, end: int, closed_at: int, verdict: Mapping[str, Any]) -> Figure:
    figures = {name: verdict[name] for name in ("observed", "error", "lower", "upper", "unit", "rows")}
    checked = verdict["outcome"] != Outcome.NOT_CHECKED
    if not checked:
        figures["observed"] = None
    return Figure(start, end, closed_at, verdict["outcome"] == Outcome.FAIL, **figures)


def micros(moment: Any) -> int:
    """Return microseconds since 1970 of what fastavro gives for a timestamp."""
    return moment if isinstance(moment, int) else micros_of(moment)
