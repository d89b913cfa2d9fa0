"""What is served at one moment. Light: it imports no model, so that requests are answered before river is loaded."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.embedded.predict.served import Served


@dataclass(frozen=True)
class Shelf:
    """What requests are answered from: the learners that are served, by name.

    `problems` says of a learner why its newest snapshot is not served, `declared` which have a file in the home;
    `read_at` is when ml.snapshots was read last, seconds since 1970, 0: not yet.
    """

    served: Mapping[str, "Served"] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    read_at: float = 0.0

    @property
    def names(self) -> list[str]:
        """Return the learners there are, whether they can answer yet or not."""
        return sorted(self.declared | self.served.keys())


class Rack:
    """Holds the shelf; whoever reads the topic puts a new one there in one step.

    `problem` says why the topic cannot be read just now, "" while it can.
    """

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.shelf = shelf or Shelf()
        self.problem = ""

    def idle(self) -> None:
        """Say that there is nothing to serve: the home has no learners."""
        self.shelf = Shelf(read_at=time.time())
