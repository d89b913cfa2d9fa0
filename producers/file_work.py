"""One file from its claim to done/: a generator of what goes out, so that a slot can work on several files in turns."""

import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from headrace.core.clock import Clock, utc_now
from headrace.core.identity import file_id
from headrace.core.vocabulary import FileState, Reason
from headrace.errors import ContractInvalid, HeadraceError, SchemaRefused, Transient
from headrace.observability.events import emit
from headrace.observability.file_events import FileChanged, FileClaimed, FileResumed, FileVanished
from headrace.observability.tracing import FileTracer
from headrace.producers.claim import ClaimedFile, Gone, PrefixHash, digest_steadily, reopen, take
from headrace.producers.endings import Endings, deleted, reader_failed
from headrace.producers.file_spans import FileSpans, Published
from headrace.producers.inbox import Oddity, out_of_room, unreadable
from headrace.producers.ledger import LedgerView
from headrace.producers.messages import Messages, final_state, record_headers
from headrace.producers.notes import note_message
from headrace.producers.outgoing import Outgoing
from headrace.producers.plan import Plan, Planner
from headrace.producers.readers.base import RAW_BYTES, FileRefused, ReadFrame, UnreadableRow
from headrace.producers.ready_queue import Note
from headrace.schemas import codec
from headrace.schemas.ledger import FileEntry, entry_key, new_entry, note_key
from headrace.settings import Paths

# What foreign code raises when it is broken; a panic of polars is no Exception.
BROKEN = (Exception, pl.exceptions.PanicException)
# None: nothing to send now, the file waits for another one.
Steps = Generator[Outgoing | None, None, None]
# So long a changed file that came back waits for its receipt in the line, so often it looks; then it is set aside.
_HANDOVER_SECS, _HANDOVER_EVERY_SECS = 10.0, 0.2


@dataclass
class FileWork:
    """What every file of a slot needs. Its generators run in the reading thread, `committed` in the sending one."""

    paths: Paths
    view: LedgerView
    planner: Planner
    messages: Messages
    tracer: FileTracer
    endings: Endings
    oddity_found: Callable[[Oddity], None]
    # False while the reconciler may still write over the entry of a changed file.
    handed_over: Callable[[FileEntry], bool]
    clock: Clock = utc_now
    # Keys with something not committed yet: a second file with the same bytes waits for the first.
    active: set[str] = field(default_factory=set)
    _look_at: float = 0.0

    def start(self, dataset: str, name: str, seen_ns: int) -> Steps:
        """Claim a file of the inbox and publish it."""
        taken = take(self.paths, dataset, name)
        if isinstance(taken, Gone):
            emit(FileVanished(dataset=dataset, name=name))
        elif isinstance(taken, Oddity):
            self.oddity_found(taken)
        else:
            emit(FileClaimed(dataset=dataset, name=taken.name, size=taken.signature.size))
            with closing(taken):
                noted = self.view.noted(note_key(dataset, name))
                if (note := note_message(Note(dataset, name, None), noted)) is not None:
                    yield note
                yield from self._enter(taken, seen_ns)

    def go_on(self, dataset: str, work: str, entry: FileEntry | None) -> Steps:
        """Go on with a file that a killed process left in work/; `entry` is the open one with its path, if any."""
        found = reopen(self.paths, dataset, work)
        if isinstance(found, Gone):
            if entry is not None:
                yield self.endings.lost(entry)
            return
        with closing(found):
            yield from self._enter(found, time.time_ns(), expected=entry, recovered=True)

    def corrections(self) -> list[Outgoing]:
        """Return what is to be said of files that were gone at their move, of those whose entry is the slot's again.

        A file that was published is the reconciler's until it is proved; then it is proved once more. May block.
        """
        if not self.endings.unmoved or time.monotonic() < self._look_at:
            return []
        self._look_at = time.monotonic() + _HANDOVER_EVERY_SECS
        ready = [(key, entry) for key, entry in self.endings.unmoved.copy() if self.handed_over(entry)]
        for found in ready:
            self.endings.unmoved.remove(found)
        return [self.endings.without_file(key, entry) for key, entry in ready]

    def _enter(
        self, claimed: ClaimedFile, seen_ns: int, *, expected: FileEntry | None = None, recovered: bool = False
    ) -> Steps:
        try:
            steady = digest_steadily(claimed)
        except OSError as error:
            self._set_aside(claimed, unreadable(claimed.dataset, claimed.name, error))
            return
        if not steady:
            self.endings.give_back(claimed)
            return
        if expected is not None and expected.sha256 != claimed.sha256:
            yield self.endings.superseded(expected)
        key = entry_key(claimed.dataset, claimed.sha256)
        while key in self.active:
            yield None
        self.active.add(key)
        known = self.view.same_prefix(claimed.dataset, claimed.sha256)
        settled = self.view.settled(claimed.dataset, claimed.sha256)
        if known and known.sha256 != claimed.sha256:
            detail = f'the first {len(file_id(known.sha256))} digits of its digest are those of "{known.name}"'
            yield self.endings.rejected(self._entry(claimed), Reason.DIGEST_COLLISION, detail, claimed)
        elif settled is not None and recovered and self.endings.move_finished(claimed, settled):
            self.active.discard(key)
        elif settled is not None:
            yield self.endings.skipped(self._entry(claimed), settled, claimed)
        else:
            resumed = self.view.resumable(claimed.dataset, claimed.sha256)
            if resumed is None or (yield from self._waited_for(resumed)):
                yield from self._plan_and_publish(claimed, resumed, seen_ns)
            else:
                detail = f"its first {resumed.rows_published} rows are not proven stored yet; it goes on when they are"
                self._set_aside(claimed, Oddity(claimed.dataset, claimed.name, Reason.NOT_PROVED, detail))

    def _set_aside(self, claimed: ClaimedFile, oddity: Oddity) -> None:
        """Put a file back where it waits. It is told after that: the watcher notes how it looks in the inbox."""
        self.endings.give_back(claimed)
        self.oddity_found(oddity)

    def _waited_for(self, resumed: FileEntry) -> Generator[None, None, bool]:
        """Give the other files their turns until the entry is ours to write; return False if that takes too long."""
        started = look_at = time.monotonic()
        while (now := time.monotonic()) < started + _HANDOVER_SECS:
            if now >= look_at:
                if self.handed_over(resumed):
                    return True
                look_at = time.monotonic() + _HANDOVER_EVERY_SECS
            yield None
        return False

    def _plan_and_publish(self, claimed: ClaimedFile, resumed: FileEntry | None, seen_ns: int) -> Steps:
        standing = self._standing(claimed, resumed)
        try:
            plan = self.planner.plan(claimed, resumed)
        except FileRefused as refusal:
            refused = self.endings.rejected(standing, refusal.reason, refusal.told, claimed)
            yield self._closed(refused, seen_ns)
        except ContractInvalid as error:
            yield self._closed(self._refused(claimed, standing, Reason.CONTRACT_INVALID, error), seen_ns)
        except SchemaRefused as error:
            yield self._closed(self._refused(claimed, standing, Reason.SCHEMA_INCOMPATIBLE, error), seen_ns)
        except BROKEN as error:
            if isinstance(error, OSError) and out_of_room(error) and not standing.rows_published:
                self._set_aside(claimed, unreadable(claimed.dataset, claimed.name, error))
                return
            if isinstance(error, Transient) or out_of_room(error):
                raise
            cause = f"{type(error).__name__}: {error}"
            reader_failed(standing, 0, cause)
            yield self._closed(self.endings.rejected(standing, Reason.READER_FAILED, cause, claimed), seen_ns)
        else:
            if resumed is None or resumed.next_row == 0 or _begins_alike(claimed, resumed):
                yield from self._publish(claimed, plan, self._claimed_entry(claimed, plan, resumed), seen_ns)
            else:
                yield self._closed(self._misfit(claimed, standing, plan), seen_ns)

    def _refused(self, claimed: ClaimedFile, standing: FileEntry, reason: Reason, error: HeadraceError) -> Outgoing:
        detail = f"{error}; next: {error.hint}" if error.hint else str(error)
        return self.endings.rejected(standing, reason, detail, claimed)

    def _misfit(self, claimed: ClaimedFile, standing: FileEntry, plan: Plan) -> Outgoing:
        """Return the end of a file that cannot go on: from its first row again, the rows that stand would double."""
        if not self._unchanged(claimed):
            return self.endings.changed(standing, plan, claimed)
        detail = (
            f"its first {standing.next_byte} bytes are not those that were published under this digest as rows 0 to "
            f"{standing.next_row - 1}; those stand, and nothing was published again"
        )
        return self.endings.rejected(standing, Reason.PREFIX_MISMATCH, detail, claimed)

    def _publish(self, claimed: ClaimedFile, plan: Plan, entry: FileEntry, seen_ns: int) -> Steps:
        key = entry_key(entry.dataset, entry.sha256)
        yield Outgoing(key=key, entry=entry)
        self._spans.ready(entry, seen_ns)
        prefix = PrefixHash(claimed.stream)
        frames = self._frames(claimed, plan, entry)
        while True:
            started_ns = time.time_ns()
            try:
                frame, records = next(frames)
            except FileRefused as refusal:
                yield self._closed(self.endings.rejected(entry, refusal.reason, refusal.told, claimed), seen_ns)
                return
            digest = prefix.up_to(frame.next_byte)
            whole = prefix.up_to(claimed.signature.size) if frame.last else entry.sha256
            if whole != entry.sha256 or not self._unchanged(claimed):
                emit(FileChanged(dataset=entry.dataset, name=entry.name, file=entry.file, rows=entry.rows_published))
                yield self._closed(self.endings.changed(entry, plan, claimed), seen_ns)
                return
            entry = self._advanced(entry, frame, len(records), digest, plan.remark)
            if frame.last and claimed.deleted:
                emit(FileVanished(dataset=entry.dataset, name=entry.name, file=entry.file))
                entry = deleted(entry)
            self._spans.read(entry, started_ns, len(records), len(frame.unreadable))
            yield self._outgoing(entry, frame, records, plan, claimed, seen_ns)
            if frame.last:
                return

    def _frames(self, claimed: ClaimedFile, plan: Plan, entry: FileEntry) -> Iterator[tuple[ReadFrame, list[bytes]]]:
        """Give the reader's frames and their messages; an error of the reader ends this file, never the line."""
        row, byte = entry.next_row, entry.next_byte
        try:
            for frame in plan.frames(row, byte):
                yield frame, _encoded(frame, plan, entry)
                row, byte = frame.next_row, frame.next_byte
                if frame.last:
                    return
            cause = "it ended without saying that this was the last frame"
        except FileRefused as refusal:
            if row == 0:
                raise
            cause = str(refusal)
        except BROKEN as error:
            # A reader is a plug-in: whatever it raises must not stop the other files.
            if isinstance(error, Transient):
                raise
            cause = f"{type(error).__name__}: {error}"
        detail = f"the {entry.format} reader failed: {cause}"
        reader_failed(entry, row, cause)
        if row == 0:
            raise FileRefused(Reason.READER_FAILED, detail)
        yield _rest_of_file(claimed, plan, row, byte, detail), []

    def _unchanged(self, claimed: ClaimedFile) -> bool:
        """Return True if nobody wrote to the file since it was hashed; a mere touch is looked into and accepted."""
        now = claimed.now()
        if now == claimed.signature:
            return True
        if now.size != claimed.signature.size:
            return False
        digest = claimed.sha256
        same = digest_steadily(claimed) and claimed.sha256 == digest
        claimed.sha256 = digest
        return same

    def _advanced(self, entry: FileEntry, frame: ReadFrame, records: int, digest: str, remark: str) -> FileEntry:
        published = records + len(frame.unreadable)
        now = self.clock()
        entry = entry.with_changes(
            state=FileState.PUBLISHING,
            rows_read=entry.rows_read + published,
            rows_published=entry.rows_published + published,
            rows_unreadable=entry.rows_unreadable + len(frame.unreadable),
            next_row=frame.next_row,
            next_byte=frame.next_byte,
            prefix_sha256=digest,
            updated_at=now,
        )
        if not frame.last:
            return entry
        reason = frame.partial or (Reason.NEW_COLUMNS if remark else None)
        return entry.with_changes(
            state=final_state(frame.partial is not None),
            reason=reason.value if reason else "",
            detail="; ".join(part for part in (frame.detail if frame.partial else "", remark) if part),
            path=self.endings.done_path(entry),
            published_at=now,
        )

    def _outgoing(
        self,
        entry: FileEntry,
        frame: ReadFrame,
        records: list[bytes],
        plan: Plan,
        claimed: ClaimedFile,
        seen_ns: int,
    ) -> Outgoing:
        told = Published.begin(entry, len(records), len(frame.unreadable), plan.partition)
        delta = None
        if frame.unreadable or frame.last:
            delta = self.messages.delta(
                entry, frame.unreadable, tolerance=plan.tolerance, owner=plan.owner, ended=frame.last
            )

        def committed() -> None:
            self._spans.published(entry, told)
            if frame.last:
                self._spans.file(entry, seen_ns)
                self.endings.finish(entry, claimed)

        return Outgoing(
            key=entry_key(entry.dataset, entry.sha256),
            entry=entry,
            partition=plan.partition,
            headers=record_headers(entry, self._spans.header(entry, told.span)),
            records=records,
            quarantined=self.messages.quarantined(frame.unreadable, entry),
            delta=delta,
            committed=committed,
            failed=lambda error: self._spans.published(entry, told, error),
        )

    @property
    def _spans(self) -> FileSpans:
        return FileSpans(self.tracer)

    def _closed(self, last: Outgoing, seen_ns: int) -> Outgoing:
        """Record the root span of a file that ends before its last row."""
        self._spans.file(last.entry, seen_ns)
        return last

    def _entry(self, claimed: ClaimedFile) -> FileEntry:
        now = self.clock()
        return new_entry(
            dataset=claimed.dataset,
            sha256=claimed.sha256,
            name=claimed.name,
            path=str(claimed.path.relative_to(self.paths.home)),
            bytes=claimed.signature.size,
            modified_at=datetime.fromtimestamp(claimed.signature.modified_ns // 1_000 / 1_000_000, UTC),
            state=FileState.CLAIMED,
            claimed_at=now,
            updated_at=now,
        )

    def _claimed_entry(self, claimed: ClaimedFile, plan: Plan, resumed: FileEntry | None) -> FileEntry:
        """Return the entry to go on from: a new one, or that of a file which was begun before."""
        fresh = self._entry(claimed).with_changes(
            format=plan.format,
            contract_version=plan.contract_version,
            schema_id=plan.schema_id,
            partition=plan.partition,
        )
        if resumed is None or resumed.next_row == 0:
            return fresh
        emit(FileResumed(dataset=resumed.dataset, name=resumed.name, file=resumed.file, row=resumed.next_row))
        return resumed.with_changes(
            state=FileState.PUBLISHING,
            reason="",
            detail="",
            path=fresh.path,
            balanced=False,
            updated_at=fresh.updated_at,
        )

    def _standing(self, claimed: ClaimedFile, resumed: FileEntry | None) -> FileEntry:
        """Return the entry to end a file with that cannot be read now; how far it was published before is kept."""
        fresh = self._entry(claimed)
        if resumed is None or resumed.next_row == 0:
            return fresh
        return resumed.with_changes(name=fresh.name, path=fresh.path, balanced=False, updated_at=fresh.updated_at)


def _begins_alike(claimed: ClaimedFile, resumed: FileEntry) -> bool:
    return PrefixHash(claimed.stream).up_to(resumed.next_byte) == resumed.prefix_sha256


def _encoded(frame: ReadFrame, plan: Plan, entry: FileEntry) -> list[bytes]:
    names = [column.name for column in plan.schema.fields]
    whole = frame.frame.with_columns(pl.lit(entry.file, pl.String).alias("_file")).select(names)
    return codec.encode(whole, plan.schema, plan.schema_id)


def _rest_of_file(claimed: ClaimedFile, plan: Plan, row: int, byte: int, detail: str) -> ReadFrame:
    """Return a last frame that puts what cannot be framed aside as one row."""
    size = claimed.signature.size
    rest = hashlib.sha256()
    for start in range(byte, size, 1 << 20):
        rest.update(os.pread(claimed.stream.fileno(), min(1 << 20, size - start), start))
    raw = os.pread(claimed.stream.fileno(), min(RAW_BYTES, size - byte), byte)
    lost = UnreadableRow(row, byte, size, raw, size - byte, rest.hexdigest(), Reason.READER_FAILED, "", detail)
    columns = {name: kind for name, kind in codec.polars_schema(plan.schema).items() if name != "_file"}
    return ReadFrame(pl.DataFrame(schema=columns), (lost,), row + 1, size, True, Reason.READER_FAILED, detail)
