"""What the fence admitted lately.

The pipeline says the same few statements over and over, and admitting one takes the engine two queries: nearly half of
what a small INSERT costs.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from headrace.embedded.warehouse.fence import Admitted, Fence, Parser

MOST_STATEMENTS: Final = 256
LONGEST: Final = 8_192
"""Characters of a statement with its parameters; longer ones are admitted anew each time."""

_Said = tuple[str, tuple[tuple[str, str], ...]]


class Admissions:
    """Remembers what one fence admitted, the statements said last. Refusals are not kept. Safe for several threads.

    What is admitted follows from the text and the parameters alone as long as the parser has settings of nobody: a
    session's handle may have others, so its statements go to the fence itself.
    """

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._lock = threading.Lock()
        self._known: OrderedDict[_Said, Admitted] = OrderedDict()

    def admit(self, parser: Parser, statement: str, parameters: Mapping[str, str]) -> Admitted:
        """Return what the fence returns, or raise what it raises; `parser` is a handle without settings of a client."""
        said = statement, tuple(sorted(parameters.items()))
        with self._lock:
            if (known := self._known.get(said)) is not None:
                self._known.move_to_end(said)
                return known
        admitted = self._fence.admit(parser, statement, parameters)
        if len(statement) + sum(len(name) + len(value) for name, value in said[1]) <= LONGEST:
            with self._lock:
                self._known[said] = admitted
                if len(self._known) > MOST_STATEMENTS:
                    self._known.popitem(last=False)
        return admitted
