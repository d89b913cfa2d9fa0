"""Whether a process lives and is ready: what its work loop told last, and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass

_NOT_READY = frozenset({"starting", "waiting", "halted", "stopping", "stopped", "failed", "draining"})


@dataclass
class Health:
    """The last word of a work loop. A process without one that tells (`loops` is False) lives while it answers."""

    loops: bool = True
    state: str = "starting"
    lag: int = -1
    told_at: float = 0.0
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.told_at = self.monotonic()

    def tell(self, state: str, lag: int) -> None:
        """Note that the loop goes round."""
        self.state, self.lag, self.told_at = state, lag, self.monotonic()

    def dead_because(self, live_secs: float) -> str:
        """Return why the process is not alive, "" if it is."""
        silent = self.monotonic() - self.told_at
        if self.loops and silent > live_secs:
            return f"the work loop has not gone round for {silent:.0f} s (HEADRACE_LIVE_SECS is {live_secs:g})"
        return ""

    def unready_because(self, live_secs: float, most_lag: int) -> str:
        """Return why the process is not ready, "" if it is."""
        if not self.loops:
            return ""
        if self.state in _NOT_READY:
            return f"the state is {self.state}"
        if self.lag > most_lag:
            return f"the lag is {self.lag} (HEADRACE_READY_LAG is {most_lag})"
        return self.dead_because(live_secs)


_current: list[Health] = []


def begin(health: Health) -> None:
    """Let this be the health of the process."""
    _current.append(health)


def end(health: Health) -> None:
    """Let it be that no more."""
    _current.remove(health)


def tell_health(state: str, lag: int) -> None:
    """Note that the work loop of this process goes round; nothing where nobody asks."""
    if _current:
        _current[-1].tell(state, lag)


def tell_alive() -> None:
    """Note that the process works at something long, or waits for a service: its state stays as it was told last."""
    if _current:
        _current[-1].told_at = _current[-1].monotonic()
