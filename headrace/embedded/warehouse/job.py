"""One request's work on the engine. Everything here blocks and runs on a worker thread."""

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from headrace.embedded.warehouse.access import User
from headrace.embedded.warehouse.admissions import Admissions
from headrace.embedded.warehouse.body import Statement
from headrace.embedded.warehouse.engine import Answer, Engine, Handle, Insert, Role
from headrace.embedded.warehouse.faults import (
    INVALID_SESSION_TIMEOUT,
    NOT_IMPLEMENTED,
    READONLY,
    SUPPORT_IS_DISABLED,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    Fault,
)
from headrace.embedded.warehouse.fence import Act, Admitted, Fence
from headrace.embedded.warehouse.formats import Output
from headrace.embedded.warehouse.lexer import quote_name, quote_text
from headrace.embedded.warehouse.proof import Mark, Proof
from headrace.embedded.warehouse.requests import HttpQuery
from headrace.embedded.warehouse.sessions import Sessions

_MOST_SESSION_SECS: Final = 3600.0
CHECKED_VALUES_BYTES: Final = 2**20


@dataclass
class Job:
    """A request's handle, from the moment it is taken until `end`."""

    query: HttpQuery
    user: User
    handle: Handle
    mark: str
    session: str = ""
    admitted: Admitted | None = None
    restore: tuple[str, ...] = ()
    insert: Insert | None = None
    before_insert: Mark | None = None
    ended: bool = False

    @property
    def statement(self) -> Admitted:
        """The statement that passed the fence."""
        assert self.admitted is not None  # noqa: S101 - Jobs.begin returns no job without it
        return self.admitted


class Jobs:
    """Begins and ends jobs on one engine, behind one fence."""

    def __init__(self, engine: Engine, fence: Fence) -> None:
        self._engine = engine
        self._fence = fence
        self._admissions = Admissions(fence)
        self._proof = Proof(engine)
        self.sessions = Sessions(lambda _user: engine.open(Role.READER))

    def begin(self, query: HttpQuery, user: User, statement: Statement) -> Job:
        """Take a handle, pass the statement through the fence, and bring the handle to the request's settings.

        In this order: a client's settings must not shape what the fence reads.
        """
        if not statement.text.strip():
            raise Fault(SYNTAX_ERROR, "Syntax error: empty query")
        job = self._take(query, user)
        try:
            admit = self._fence.admit if job.session else self._admissions.admit
            job.admitted = admit(job.handle, statement.text, query.parameters)
            self._check_settings(query)
            # SET and USE are what stays in a session: a request's own settings, given back at its end, would undo it.
            if not job.session or job.admitted.act is not Act.SESSION:
                self._use(job)
                self._set(job, dict(query.settings))
            self._narrow(job, job.admitted.act)
        except BaseException:
            self.end(job)
            raise
        return job

    def run(self, job: Job, statement: str, output_format: str) -> Answer:
        """Run a statement whose answer is small: anything but a SELECT and an INSERT with data."""
        writes = job.statement.act is Act.WRITE
        try:
            before = self._proof.begin() if writes else None
            answer = job.handle.run(statement, output_format, job.query.parameters)
            if before is not None:
                self._proof.check(job.mark, before)
            return answer
        finally:
            self.end(job)

    def select(self, job: Job, statement: str) -> Answer:
        """Run a SELECT that writes into a pipe of ours."""
        return self.run(job, statement, "TabSeparated")

    def begin_insert(self, job: Job, checked: bytes | None) -> None:
        """Begin an INSERT. `checked` is the whole of its data when they may hold expressions, else None."""
        output = output_of_insert(job.statement)
        if output is None:
            raise Fault(NOT_IMPLEMENTED, "INSERT ... SELECT with inline data (input()) is not supported here")
        if evaluates_data(job.statement):
            harmless = checked is not None and self._fence.harmless_values(checked)
            kinds = ("interpret", "deduce_templates_of")
            self._set(job, {f"input_format_values_{kind}_expressions": str(int(harmless)) for kind in kinds})
        job.handle.change({f"param_{name}": value for name, value in job.query.parameters.items()})
        job.before_insert = self._proof.begin()
        job.insert = job.handle.insert(output.before, output.named)

    def append(self, job: Job, pieces: Iterable[bytes]) -> None:
        """Write the next data of an INSERT."""
        assert job.insert is not None  # noqa: S101 - begin_insert set it
        with _explained(job):
            for piece in pieces:
                job.insert.append(piece)

    def finish_insert(self, job: Job) -> Answer:
        """End an INSERT; raises Fault unless its rows are in the table."""
        insert, job.insert = job.insert, None
        assert insert is not None and job.before_insert is not None  # noqa: S101, PT018 - begin_insert set them
        try:
            with _explained(job):
                answer = insert.finish()
                self._proof.check(job.mark, job.before_insert)
                return answer
        finally:
            self.end(job)

    def kill(self, job: Job) -> None:
        """Stop what a client that left has running."""
        self._engine.kill(job.mark)

    def end(self, job: Job) -> None:
        """Give the handle back as it was, before the answer's last byte: a session's next request may be near."""
        if job.ended:
            return
        job.ended = True
        try:
            if job.insert is not None:
                job.insert.cancel()
        finally:
            if job.session:
                self._end_session(job)
            else:
                job.handle.close()

    def _end_session(self, job: Job) -> None:
        try:
            for statement in job.restore:
                job.handle.run(statement)
        finally:
            self.sessions.give_back(job.user.name, job.session, close=job.query.flag("close_session"))

    def _take(self, query: HttpQuery, user: User) -> Job:
        mark = f"headrace-{uuid.uuid4().hex}"
        role = Role.READER if query.readonly else user.role
        name = query.options.get("session_id", "")
        if not name:
            return Job(query, user, self._engine.open(role), mark)
        session = self.sessions.take(
            user.name, name, timeout_secs=_session_timeout(query), must_exist=query.flag("session_check")
        )
        job = Job(query, user, session.handle, mark, session=name)
        try:
            session.handle.take(role)
        except BaseException:
            self.end(job)
            raise
        return job

    def _use(self, job: Job) -> None:
        """Make the request's database the current one, in a session for this request only."""
        if not job.query.database:
            return
        if job.session:
            before = job.handle.text("SELECT currentDatabase()", {}).removesuffix("\n")
            job.restore = (f"USE {quote_name(before)}", *job.restore)
        job.handle.use(job.query.database)

    def _check_settings(self, query: HttpQuery) -> None:
        for name, _ in query.settings:
            if not name.isidentifier():
                raise Fault(UNKNOWN_SETTING, f"Unknown setting '{name}'")
            self._fence.check_setting(name)

    def _set(self, job: Job, values: Mapping[str, str]) -> None:
        """SET for this request only: a session's own values come back at the end."""
        if not values:
            return
        if job.session:
            names = ", ".join(quote_text(name) for name in values)
            found = job.handle.run(
                f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})"  # noqa: S608 - quoted
            )
            for line in found.body.decode().splitlines():
                name, old, changed = line.split("\t")
                literal = f"'{old}'" if changed == "1" and not old.startswith("auto(") else "DEFAULT"
                job.restore = (f"SET `{name}` = {literal}", *job.restore)
        job.handle.change(values)

    def _narrow(self, job: Job, act: Act) -> None:
        """Mark what a handle runs, and leave it no more than the statement's act needs."""
        if act is Act.WRITE and job.query.readonly:
            raise Fault(READONLY, "Cannot execute query in readonly mode. For queries over HTTP use POST.")
        if act in {Act.READ, Act.WRITE}:
            job.handle.change({"log_comment": job.mark})
        if act is Act.READ:
            job.handle.take(Role.READER)
            if not job.session:
                job.handle.change({"readonly": "2"})


@contextlib.contextmanager
def _explained(job: Job) -> Iterator[None]:
    """Say what to do where the fence has switched expressions in VALUES off."""
    try:
        yield
    except Fault as fault:
        if fault.code != SUPPORT_IS_DISABLED or not evaluates_data(job.statement):
            raise
        hint = "here they are evaluated only in data up to 1 MiB that name no refused function; use INSERT ... SELECT"
        raise Fault(fault.code, f"{fault.text} ({hint})", fault.name) from fault


def output_of_insert(admitted: Admitted) -> Output | None:
    """Return an INSERT cut before its FORMAT; None when it takes no inline data."""
    words = admitted.tokens
    if admitted.root.kind != "InsertQuery" or len(words) < 2 or not words[-2].keyword("FORMAT"):
        return None
    if any(child.kind.startswith("Select") for child in admitted.root.children):
        return None
    return Output(admitted.text[: words[-2].start].rstrip(), words[-1].text, "")


def evaluates_data(admitted: Admitted) -> bool:
    """Return whether the input format gives what is not a literal to the engine as an expression."""
    output = output_of_insert(admitted)
    return output is not None and output.named.lower() in {"values", "mysqldump", "sqlinsert"}


def choose_format(query: HttpQuery, output: Output, default: str) -> str:
    """Return the output format that is wished for most; raises Fault for what cannot be the name of one."""
    name = query.formats(output.named, default)[0]
    if not name.isidentifier():
        raise Fault(73, f"Unknown format {name}", "UNKNOWN_FORMAT")
    return name


def _session_timeout(query: HttpQuery) -> float:
    text = query.options.get("session_timeout", "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _MOST_SESSION_SECS:
        raise Fault(
            INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{text}', the maximum is {_MOST_SESSION_SECS:.0f}"
        )
    return seconds
