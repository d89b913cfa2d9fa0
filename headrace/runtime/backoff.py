"""How long a process that died waits before it starts again."""

from dataclasses import dataclass


@dataclass
class Backoff:
    """Delays that double with each death in a row, up to a limit; a healthy while begins anew.

    Time comes from the caller, so tests move it.

    >>> backoff = Backoff()
    >>> [backoff.delay_secs(ran_secs=0.1) for _ in range(3)], backoff.delay_secs(ran_secs=60.0)
    ([0.25, 0.5, 1.0], 0.25)
    """

    first_secs: float = 0.25
    most_secs: float = 30.0
    healthy_secs: float = 20.0
    # After an error that a restart cannot mend: rarely, so that the line goes on once a person has mended it.
    terminal_secs: float = 60.0
    deaths_in_a_row: int = 0

    def delay_secs(self, *, ran_secs: float, terminal: bool = False) -> float:
        """Count a death after `ran_secs` of life and return how long to wait before the next start."""
        if ran_secs >= self.healthy_secs:
            self.deaths_in_a_row = 0
        self.deaths_in_a_row += 1
        if terminal:
            return self.terminal_secs
        return min(self.first_secs * 2.0 ** min(self.deaths_in_a_row - 1, 30), self.most_secs)
