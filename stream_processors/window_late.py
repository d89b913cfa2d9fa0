"""Closed windows that rows came for: they are revised together, as a backfill would tell each with every batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace.stream_processors.steps.window_state import Part

REVISE_SECS: Final = 10
"""How long rows for a closed window wait for more of them, by the publish times of deltas."""
LATE_BYTES: Final = 16 * 1024 * 1024
"""Parts of a clock's windows that wait: with more of them these are revised at once."""


@dataclass
class Late:
    """The closed windows of one clock that parts came for, by their starts.

    `now` are the parts of the delta in hand; `waiting` the windows with rows that no revision tells yet; with `due`
    these have waited long enough.
    """

    now: Mapping[int, Part]
    waiting: set[int]
    due: bool
