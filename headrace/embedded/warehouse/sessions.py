"""Sessions: handles that outlive a request, with their temporary tables and settings."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.embedded.warehouse.engine import Handle
from headrace.embedded.warehouse.faults import SESSION_IS_LOCKED, SESSION_NOT_FOUND, TOO_MANY_QUERIES, Fault

MOST_SESSIONS = 256


@dataclass
class Session:
    """One handle that a client names; `busy` while a request uses it."""

    handle: Handle
    timeout_secs: float
    busy: bool = True
    idle_since: float = field(default=0.0)


class Sessions:
    """The open sessions, by user and id. Safe to use from several threads."""

    def __init__(self, open_handle: Callable[[str], Handle], clock: Callable[[], float] = time.monotonic) -> None:
        self._open_handle = open_handle
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Session] = {}

    def take(self, user: str, name: str, *, timeout_secs: float, must_exist: bool) -> Session:
        """Return a session for one request; a new one is opened unless it must exist. Raises Fault 372 or 373."""
        self.expire()
        with self._lock:
            session = self._open.get((user, name))
            if session is not None:
                if session.busy:
                    raise Fault(SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client.")
                session.busy, session.timeout_secs = True, timeout_secs
                return session
            if must_exist:
                raise Fault(SESSION_NOT_FOUND, f"Session {name} not found.")
            if len(self._open) >= MOST_SESSIONS:
                raise Fault(TOO_MANY_QUERIES, f"Too many sessions: {MOST_SESSIONS} are open.")
            session = Session(self._open_handle(user), timeout_secs)
            self._open[user, name] = session
            return session

    def give_back(self, user: str, name: str, *, close: bool) -> None:
        """End a request's use of a session."""
        with self._lock:
            session = self._open[user, name]
            session.busy, session.idle_since = False, self._clock()
            if close:
                del self._open[user, name]
        if close:
            session.handle.close()

    def expire(self) -> None:
        """Close the sessions that were idle for longer than their time-out."""
        now = self._clock()
        with self._lock:
            old = [
                key
                for key, session in self._open.items()
                if not session.busy and now - session.idle_since > session.timeout_secs
            ]
            closed = [self._open.pop(key) for key in old]
        for session in closed:
            session.handle.close()

    def close(self) -> None:
        """Close every session that is not in use."""
        with self._lock:
            closed = [session for session in self._open.values() if not session.busy]
            self._open.clear()
        for session in closed:
            session.handle.close()
