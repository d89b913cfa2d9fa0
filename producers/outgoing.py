"""What goes out in one Kafka transaction, and the channel that carries it from reading to sending."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.errors import HeadraceError
from headrace.schemas.ledger import FileEntry
from headrace.transport.kafka import Headers


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One file's share of a transaction: its next records and the ledger entry that says so.

    `committed` is called by the sending thread once everyone can read it, `failed` if its transaction fails: then it is
    made again.
    """

    key: str
    entry: FileEntry
    partition: int = 0
    headers: Headers = field(default_factory=list)
    records: Sequence[bytes] = ()
    quarantined: Sequence[bytes] = ()
    delta: bytes | None = None
    committed: Callable[[], None] | None = None
    failed: Callable[[HeadraceError], None] | None = None

    @property
    def rows(self) -> int:
        """Return how many rows it publishes."""
        return len(self.records) + len(self.quarantined)


class Channel:
    """A bounded queue between two threads. Its room is in rows: one large frame or many tiny files wait in it."""

    def __init__(self, room_rows: int) -> None:
        self._room = room_rows
        self._items: deque[Outgoing] = deque()
        self._rows = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: Outgoing) -> bool:
        """Add an item; blocks while the channel is full. False: the channel was closed and nothing more is wanted."""
        with self._changed:
            while self._rows >= self._room and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._rows += item.rows + 1
            self._changed.notify_all()
            return True

    def take(self, max_rows: int, timeout: float) -> list[Outgoing] | None:
        """Return what waits, at least one item and then as many as fit into `max_rows`; [] after `timeout` seconds.

        None: the channel is closed and empty. Raises what `fail` was given, once the items before it are taken.
        """
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait(timeout)
            taken: list[Outgoing] = []
            rows = 0
            while self._items and (not taken or rows + self._items[0].rows <= max_rows):
                item = self._items.popleft()
                rows += item.rows
                self._rows -= item.rows + 1
                taken.append(item)
            self._changed.notify_all()
            if taken or not self._closed:
                return taken
            if self._failure is not None:
                raise self._failure
            return None

    def close(self) -> None:
        """Say that nothing more comes; what is in it can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close, and let the other side raise `error`."""
        with self._changed:
            self._failure = error
        self.close()
