"""What learners told, as parts of windows: no rows, only figures of records that were judged before."""

from collections.abc import Mapping
from typing import Any

from headrace.stream_processors.checks.learned import LEARNED, SEEN
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.window_law import Law
from headrace.stream_processors.window_plan import Source

_MICROS = 1_000_000


def is_learned(delta: Mapping[str, Any]) -> bool:
    """Return True for a message that tells what a learner found, and no rows."""
    return bool(delta["stage"] == LEARNED)


def is_learners(part: Part) -> bool:
    """Return True for a part with a learner's figures alone: it names no contract, so a window keeps its own."""
    return not part.version


def learned_parts(source: Source, delta: Mapping[str, Any], law: Law) -> dict[tuple[str, int], Part]:
    """Return what a learner's message adds to each window; what it told is in the window of arrival of its telling."""
    now = source.published_at // _MICROS // law.spec.size_secs * law.spec.size_secs
    found: dict[tuple[str, int], list[Part]] = {}
    for window in delta["windows"]:
        arrival = window["clock"] == ARRIVAL_CLOCK
        part = Part(source.offset, law.version if arrival else "", counts=window["counts"], cells=window["cells"])
        found.setdefault((window["clock"], now if arrival else window["start"]), []).append(part)
    return {place: parts[0] if len(parts) == 1 else WindowState(parts).merged() for place, parts in found.items()}


def records_seen(part: Part) -> int:
    """Return of how many records a part of a learner speaks."""
    return sum(counts.get(SEEN, 0) for counts in part.counts.values())
