"""How many records a learner takes at once: what it is done with in a second or two, whatever its model costs.

A model that takes milliseconds a record would else be in one batch for minutes: it would tell nothing meanwhile, hear
no command, and be killed in the middle of it when the line stops.
"""

from typing import Final

MOST_ROWS: Final = 20_000
LEAST_ROWS: Final = 100
FIRST_ROWS: Final = 1_000
STEP_SECS: Final = 1.5


class BatchPace:
    """Gives the size of the next batch in `rows`, from what the ones before took."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def took(self, rows: int, seconds: float) -> None:
        """Take in that a batch of so many records took so long.

        One that was cut short by what there was to read says nothing of larger ones. A batch at most doubles the next.
        """
        if not rows:
            return
        fitting = int(rows * STEP_SECS / max(seconds, 1e-9))
        if fitting < self.rows or rows >= self.rows:
            self.rows = max(LEAST_ROWS, min(MOST_ROWS, 2 * self.rows, fitting))
