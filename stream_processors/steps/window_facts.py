"""What is known of a window beside its rows, and how its record keeps it so that verdicts can be made again. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from headrace.stream_processors.checks import facts
from headrace.stream_processors.steps.file_facts import skipped_names
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK
from headrace.stream_processors.steps.window_record import Closed
from headrace.stream_processors.steps.window_state import WindowState

RECEIPTS: Final = "receipts"
"""Under this name a record keeps what is known of files, by the id of the telling."""
_MICROS: Final = 1_000_000


def window_facts(closed: Closed, state: WindowState, watermark: int) -> dict[str, Any]:
    """Return the facts that every rule of a window knows."""
    found: dict[str, Any] = {facts.NOW: closed.closed_at / _MICROS}
    if closed.clock == EVENT_CLOCK:
        found[facts.WATERMARK] = float(watermark)
    if closed.clock == ARRIVAL_CLOCK:
        found[facts.UNREADABLE_ROWS] = state.unreadable
        if skipped := skipped_names(state.receipts):
            found[facts.SKIPPED_FILES] = skipped
    return found


def facts_text(found: Mapping[str, Any], state: WindowState) -> str:
    """Return facts and receipts as the JSON text of a window's record."""
    own = dict(found) | ({RECEIPTS: state.receipts} if state.receipts else {})
    return json.dumps(own, separators=(",", ":"), sort_keys=True)


def facts_of(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts and the receipts of `facts_text`."""
    found: dict[str, Any] = json.loads(text or "{}")
    receipts: dict[str, str] = found.pop(RECEIPTS, {})
    if changes := found.get(facts.SCHEMA_CHANGES):
        found[facts.SCHEMA_CHANGES] = {int(name): change for name, change in changes.items()}
    return found, receipts
