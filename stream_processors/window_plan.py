"""What one delta makes of a dataset's windows: messages to publish and entries to write, nothing done yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.stream_processors.window_index import Clock, json_bytes, position_key


@dataclass(frozen=True)
class Source:
    """Where a delta stands in its topic; `published_at` is in microseconds since 1970."""

    partition: int
    offset: int
    published_at: int


@dataclass
class Plan:
    """What one delta makes of a dataset's windows. `too_late` and `too_early` are rows left out, by clock.

    `left_out` are empty windows of a long silence that are not closed, `unlearned` records whose learner came too late.
    """

    dataset: str
    source: Source
    windows: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    puts: dict[str, bytes] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)
    closed: dict[Clock, set[int]] = field(default_factory=dict)
    too_late: dict[str, int] = field(default_factory=dict)
    too_early: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    unlearned: int = 0

    def entries(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield what to write, in this order and in one partition: the position, then deletions, come last."""
        yield from self.puts.items()
        yield position_key(self.source.partition), json_bytes(self.source.offset)
        for key in self.drops:
            yield key, None
