"""Whether an INSERT is really in its table: the engine does not say it when its last step fails.

`finish` of a streaming INSERT returns the rows that it was given, also when the engine met an error while it stored
them (no space, too many parts, a violated constraint); and a write that the disk cuts short leaves a part that has its
name, its token and its row count, but not its bytes. Both are counted by the engine, so the counts are compared.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headrace.embedded.warehouse.engine import Engine, Handle, Role
from headrace.embedded.warehouse.faults import NOT_ENOUGH_SPACE, Fault, fault_of
from headrace.embedded.warehouse.lexer import quote_name, quote_text
from headrace.observability.embedded_events import CutPartFound
from headrace.observability.events import emit

_FAILED_INSERTS: Final = "FailedInsertQuery"
_FAILED_WRITES: Final = "WriteBufferFromFileDescriptorWriteFailed"
_COUNTS: Final = f"SELECT event, value FROM system.events WHERE event IN ('{_FAILED_INSERTS}', '{_FAILED_WRITES}')"  # noqa: S608
# The fence lets no statement choose its log_comment.
_OWN_ERROR: Final = "SELECT exception FROM system.query_log WHERE exception_code != 0 AND log_comment = {} LIMIT 1"
_NEW_PARTS: Final = (
    "SELECT database, `table`, name, level FROM system.parts WHERE active AND modification_time >= toDateTime({})"
)
# What was written last before the engine died was perhaps not looked at.
_LAST_PARTS: Final = (
    "SELECT database, `table`, name, level FROM system.parts WHERE active "
    "AND modification_time >= (SELECT max(modification_time) FROM system.parts WHERE active) - 30"
)
# Modification times are whole seconds.
_MARGIN_SECS: Final = 2
_EXIT_CODE: Final = 74


@dataclass(frozen=True)
class Mark:
    """How many failures the engine had counted at one moment."""

    failed_inserts: int
    failed_writes: int


def _leave() -> None:
    os._exit(_EXIT_CODE)


class Proof:
    """Compares the engine's counts of failures around an INSERT. Calls block; they may come from several threads.

    A count of failed INSERTs that grew may be another's; the engine's log of errors tells whose. `leave` ends the
    process.
    """

    def __init__(self, engine: Engine, leave: Callable[[], None] = _leave) -> None:
        self._engine = engine
        self._leave = leave
        self._lock = threading.Lock()
        self._sound = self._count()
        self._sound_at = time.time()
        try:
            # A merged part that is short now has nothing left that could take its place: it is told, and stays.
            self._remove_cut_parts(_LAST_PARTS)
        except Fault:
            # The disk is full still, perhaps: before the first write every part is looked at.
            self._sound, self._sound_at = Mark(0, -1), float(_MARGIN_SECS)

    def begin(self) -> Mark:
        """Return the counts before an INSERT; raises Fault while a part that was cut short cannot be removed."""
        mark = self._count()
        self._mend(mark)
        return mark

    def check(self, mark: str, before: Mark) -> None:
        """Raise a Fault unless everything that ran under a mark since `before` was stored as the engine says."""
        after = self._count()
        self._mend(after)
        if after.failed_writes > before.failed_writes:
            raise Fault(NOT_ENOUGH_SPACE, "The disk did not take all the data of an INSERT; it was taken back")
        if after.failed_inserts > before.failed_inserts:
            self._engine.flush_errors()
            if found := self._engine.ask(_OWN_ERROR.format(quote_text(mark))):
                raise fault_of(found)

    def _count(self) -> Mark:
        lines = (line.split("\t") for line in self._engine.ask(_COUNTS).splitlines())
        found = {name: int(value) for name, value in lines}
        return Mark(found.get(_FAILED_INSERTS, 0), found.get(_FAILED_WRITES, 0))

    def _mend(self, now: Mark) -> None:
        """Remove inserted parts that were cut short, and their tokens with them, so that a repeat stores the rows.

        A merged part that was cut short has replaced whole ones. The engine takes those back when it starts, if it
        does so within eight minutes; so the process ends, and its supervisor starts it again.
        """
        if now.failed_writes <= self._sound.failed_writes:
            return
        with self._lock:
            if now.failed_writes <= self._sound.failed_writes:
                return
            looked_at = time.time()
            try:
                merged = self._remove_cut_parts(_NEW_PARTS.format(int(self._sound_at) - _MARGIN_SECS))
            except Fault as fault:
                text = f"A part that the disk cut short cannot be removed yet: {fault.text}"
                raise Fault(NOT_ENOUGH_SPACE, text) from fault
            if merged:
                self._leave()
            self._sound, self._sound_at = now, looked_at

    def _remove_cut_parts(self, parts: str) -> bool:
        """Look at the parts that a query names; return True if a merged one is cut short."""
        merged = False
        handle = self._engine.open(Role.PIPELINE)
        try:
            for line in self._engine.ask(parts).splitlines():
                database, table, part, level = line.split("\t")
                name = f"{quote_name(database)}.{quote_name(table)}"
                if _whole(handle, name, part):
                    continue
                emit(CutPartFound(table=f"{database}.{table}", part=part, merged=level != "0"))
                if level == "0":
                    handle.run(f"ALTER TABLE {name} DROP PART {quote_text(part)}")
                else:
                    merged = True
        finally:
            handle.close()
        return merged


def _whole(handle: Handle, table: str, part: str) -> bool:
    check = f"CHECK TABLE {table} PART {quote_text(part)} SETTINGS check_query_single_value_result = 1"
    try:
        return handle.text(check, {}).strip() == "1"
    except Fault as fault:
        if fault.name == "NO_SUCH_DATA_PART":  # merged or dropped meanwhile
            return True
        raise
