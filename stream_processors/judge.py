"""Judging one partition's messages: what goes on unchanged, what goes to quarantine and why, and what is learned of it.

Nothing is sent here: the result is a list of outputs for the transaction that also holds the offsets.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.core.identity import stable_slot, trace_id
from headrace.core.vocabulary import Reason, Stage
from headrace.errors import WrongUse
from headrace.observability.propagation import RemoteContext, read_context, traceparent
from headrace.observability.sampling import Sampler
from headrace.observability.tracing import new_span_id
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.codec import decode_leniently, split_by_schema
from headrace.schemas.codec_walk import find_header_fault
from headrace.schemas.contract import NO_TIME, Contract
from headrace.schemas.record import RecordSchema
from headrace.schemas.system import frame_system
from headrace.schemas.topics import (
    MAX_MESSAGE_BYTES,
    PROFILES,
    QUALITY_PARTITIONS,
    QUARANTINE,
    VALID,
    data_topic,
    parse_data_topic,
)
from headrace.stream_processors.lookups import Lookups, Refusal
from headrace.stream_processors.reference_keys import ReferenceKeys
from headrace.stream_processors.steps.delta_parts import window_parts
from headrace.stream_processors.steps.profile import column_deltas
from headrace.stream_processors.steps.validate import Verdicts, validate
from headrace.stream_processors.steps.window_profile import Origin, WindowDelta, window_deltas
from headrace.transport.kafka import Headers
from headrace.transport.partition_reader import Run

KEPT_BYTES = 64 * 1024
# Sizes are reckoned, not measured: the message stays under 512 KiB, an eighth of what the broker takes.
MOST_DELTA_BYTES = 448 * 1024
# Their profiles take at most 640 bytes each.
COLUMNS_BESIDE_WINDOWS = 100
_DELTA, _QUARANTINED = "profile_delta", "quarantined_row"
# Registry ids are ints in Avro; a foreign message's four bytes may be more.
_INT_LIMIT = 2**31
_NOT_ENDED = {
    "name": "",
    "file_rows": None,
    "file_state": "",
    "file_reason": "",
    "tolerance": None,
    "owner": "",
}
# A message and the headers it is given here must fit into what the broker takes.
LARGEST_MESSAGE = MAX_MESSAGE_BYTES - 8 * 1024


class SystemIds(Protocol):
    """The registry, as far as it is needed here."""

    def system_id(self, topic: str, name: str) -> int:
        """Return the id of one of the platform's own schemas on a topic."""


@dataclass(frozen=True)
class Output:
    """Messages for one partition of one topic, with one list of headers for all."""

    topic: str
    partition: int
    values: Sequence[bytes]
    key: bytes | None = None
    headers: Headers | None = None


@dataclass(frozen=True)
class JudgedFile:
    """One file's share of a batch, for spans and events.

    `origin` is the span that its messages name, `parent_span_id` that span if it is one of the file's own trace.
    """

    dataset: str
    file: str
    rows: int
    rejected: int
    reasons: Mapping[str, int]
    span_id: str
    parent_span_id: str
    origin: RemoteContext | None
    sampled: bool
    first_row: int | None
    last_row: int | None
    first_offset: int
    last_offset: int


@dataclass
class Judgement:
    """Everything that one partition's messages become."""

    outputs: list[Output] = field(default_factory=list)
    files: list[JudgedFile] = field(default_factory=list)
    foreign: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Aside:
    """A message that cannot be judged; `file` and `row` are known where it could be decoded."""

    index: int
    refusal: Refusal
    file: str = ""
    row: int | None = None


@dataclass(frozen=True)
class _Part:
    """Messages of one schema id: `at` says where each stands in the run."""

    run: Run
    dataset: str
    schema_id: int | None
    values: Sequence[bytes]
    at: Sequence[int]

    @cached_property
    def arrived(self) -> NDArray[np.int64]:
        """Return when the broker took each message, in microseconds since 1970."""
        millis = np.asarray(self.run.timestamps(), np.int64)
        return millis[np.asarray(self.at, np.intp)] * 1_000

    def headers(self, index: int) -> dict[str, str]:
        """Return a message's headers as text. Costs 1 µs: once a file and batch."""
        found = self.run.messages[self.at[index]].headers() or ()
        return {name: value.decode("ascii", "replace") for name, value in found if isinstance(value, bytes)}


class Judge:
    """Turns runs of raw messages into outputs. Holds no state of its own but what the lookups keep."""

    def __init__(
        self,
        lookups: Lookups,
        ids: SystemIds,
        keys: ReferenceKeys | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self._lookups = lookups
        self._ids = ids
        self._keys = keys
        self._sampler = sampler or Sampler()

    def begin_batch(self) -> None:
        """Say that a new batch begins: what was unknown is asked again."""
        self._lookups.begin_batch()

    def judge(self, run: Run) -> Judgement:
        """Judge one partition's messages. Blocks only where a schema or contract is not known yet."""
        parsed = parse_data_topic(run.place.topic)
        if parsed is None:
            raise WrongUse(f'topic "{run.place.topic}" is not of a dataset', hint="rename or delete it")
        judgement, dataset = Judgement(), parsed[0]
        values = [message.value() or b"" for message in run.messages]
        at: Sequence[int] = range(len(values))
        if max(map(len, values), default=0) > LARGEST_MESSAGE:
            large = [place for place in at if len(values[place]) > LARGEST_MESSAGE]
            at = [place for place in at if len(values[place]) <= LARGEST_MESSAGE]
            refusal = Refusal(Reason.TOO_LARGE, f"more than {LARGEST_MESSAGE} bytes")
            part = _Part(run, dataset, None, [values[place] for place in large], large)
            self._put_aside(part, [_Aside(index, refusal) for index in range(len(large))], judgement)
            values = [values[place] for place in at]
        for schema_id, start, stop in split_by_schema(values):
            self._judge_part(_Part(run, dataset, schema_id, values[start:stop], at[start:stop]), judgement)
        return judgement

    def _judge_part(self, part: _Part, judgement: Judgement) -> None:
        if part.schema_id is None:
            faults = [find_header_fault(value) for value in part.values]
            bad = [_Aside(index, Refusal(*fault)) for index, fault in enumerate(faults) if fault is not None]
            self._put_aside(part, bad, judgement)
            return
        schema = self._lookups.record_schema(part.schema_id, part.dataset)
        if isinstance(schema, Refusal):
            self._put_aside(part, [_Aside(index, schema) for index in range(len(part.values))], judgement)
            return
        frame, good, undecodable = decode_leniently(part.values, schema)
        bad = [_Aside(error.index, Refusal(error.reason, error.detail)) for error in undecodable]
        nameless = Refusal(Reason.FOREIGN, "_file or _row is missing")
        for file, places in _by_file(frame):
            members = good if places is None else [good[place] for place in places]
            if file is None:
                bad += [_Aside(index, nameless) for index in members]
                continue
            records = frame if places is None else frame[places]
            refusal = self._judge_file(part, file, members, records, schema, judgement)
            if refusal is not None:
                rows = records["_row"].to_list()
                bad += [_Aside(index, refusal, file, row) for index, row in zip(members, rows, strict=True)]
        self._put_aside(part, sorted(bad, key=lambda aside: aside.index), judgement)

    def _judge_file(
        self,
        part: _Part,
        file: str,
        members: Sequence[int],
        records: pl.DataFrame,
        schema: RecordSchema,
        judgement: Judgement,
    ) -> Refusal | None:
        """Judge one file's records; a refusal means that they cannot be judged and nothing was done."""
        headers = part.headers(members[0])
        contract = self._lookups.contract(part.dataset, headers.get("contract", ""))
        if isinstance(contract, Refusal):
            return contract
        if refusal := self._lookups.misfit(part.schema_id or 0, schema, contract):
            return refusal
        checks = self._keys.prepared(contract) if self._keys else contract.checks
        judged = _Judged(part, file, records, members, contract, checks, validate(records, contract))
        trace, span, origin = trace_id(part.dataset, file), new_span_id(), read_context(headers)
        ours = origin if origin and origin.trace_id == trace else None
        sampled = self._sampler.keeps(trace, ours.sampled if ours else None)
        passed_on: Headers = [
            ("traceparent", traceparent(trace, span, sampled=sampled).encode()),
            ("contract", contract.version.encode()),
        ]
        if origin and origin.state:
            passed_on.append(("tracestate", origin.state.encode()))
        partition, verdicts = part.run.place.partition, judged.verdicts
        values = part.values if len(members) == len(part.values) else [part.values[index] for index in members]
        valid = values if not verdicts.rejected else list(itertools.compress(values, verdicts.accepted))
        if valid:
            judgement.outputs.append(Output(data_topic(part.dataset, VALID), partition, valid, headers=passed_on))
        if verdicts.rejected:
            rows = self._framed(part.dataset, judged.quarantined())
            judgement.outputs.append(Output(data_topic(part.dataset, QUARANTINE), partition, rows, headers=passed_on))
        schema_id, slot = self._ids.system_id(PROFILES, _DELTA), stable_slot(part.dataset, QUALITY_PARTITIONS)
        deltas = [frame_system(_DELTA, schema_id, delta) for delta in judged.deltas(schema)]
        judgement.outputs.append(Output(PROFILES, slot, deltas, part.dataset.encode()))
        judgement.files.append(judged.told(span, ours.span_id if ours else "", origin, sampled=sampled))
        return None

    def _put_aside(self, part: _Part, bad: Sequence[_Aside], judgement: Judgement) -> None:
        """Quarantine messages that cannot be judged, with where they were found; rows of a file count as its rows."""
        if not bad:
            return
        rows = []
        for aside in bad:
            refusal = aside.refusal
            reasons = [{"code": refusal.reason.value, "field": "", "rule": "", "detail": refusal.detail}]
            rows.append(_quarantined_row(part, aside.index, reasons) | _origin(part, aside))
            judgement.foreign[refusal.reason] += 1
        topic = data_topic(part.dataset, QUARANTINE)
        judgement.outputs.append(Output(topic, part.run.place.partition, self._framed(part.dataset, rows)))

    def _framed(self, dataset: str, rows: Iterable[Mapping[str, object]]) -> list[bytes]:
        schema_id = self._ids.system_id(data_topic(dataset, QUARANTINE), _QUARANTINED)
        return [frame_system(_QUARANTINED, schema_id, row) for row in rows]


@dataclass(frozen=True)
class _Judged:
    """One file's records in a batch with their verdicts."""

    part: _Part
    file: str
    records: pl.DataFrame
    members: Sequence[int]
    contract: Contract
    checks: Sequence[CheckRule]
    verdicts: Verdicts

    def quarantined(self) -> Iterator[Mapping[str, object]]:
        """Yield the quarantine entry of each rejected row."""
        trace, ordinals = trace_id(self.part.dataset, self.file), self.records["_row"]
        for index, failures in itertools.groupby(self.verdicts.failures, key=lambda failure: failure.index):
            reasons = [
                {"code": failure.code.value, "field": failure.field, "rule": failure.rule, "detail": failure.detail}
                for failure in failures
            ]
            own = {"_file": self.file, "_row": ordinals[index], "trace_id": trace}
            known = {"contract_version": self.contract.version}
            yield _quarantined_row(self.part, self.members[index], reasons) | own | known

    def deltas(self, schema: RecordSchema) -> Sequence[Mapping[str, object]]:
        """Return what these rows add to the file's profile and to windows, in messages of bounded size.

        The counts of the file are in the last one alone: it may complete the file, and nothing of it may follow then.
        """
        counts, columns = self._counts(schema), column_deltas(self.records, schema.data_fields)
        parts = window_parts(self._windows(schema), MOST_DELTA_BYTES)
        nothing = {"rows": 0, "rejected": 0, "reasons": {}, "rules": {}, "columns": []}
        last = parts.pop() if parts and len(columns) <= COLUMNS_BESIDE_WINDOWS else []
        alone = [counts | nothing | {"windows": part} for part in parts]
        return [*alone, counts | {"columns": columns, "windows": last}]

    def _windows(self, schema: RecordSchema) -> list[WindowDelta]:
        contract = self.contract
        if not self.checks and contract.window == NO_TIME:
            return []
        known = {field.name: field for field in (*contract.record_fields, *schema.data_fields)}
        arrived = self.part.arrived[np.asarray(self.members, np.intp)]
        rejected = ~self.verdicts.accepted if self.verdicts.rejected else None
        shown = all(not one.personal for one in contract.fields if one.name == contract.window.time_field)
        origin = Origin(pl.Series(arrived), self.part.schema_id, rejected, event_shown=shown)
        return window_deltas(self.records, list(known.values()), self.checks, contract.window, origin)

    def _counts(self, schema: RecordSchema) -> dict[str, object]:
        return {
            "dataset": self.part.dataset,
            "file": self.file,
            "stage": Stage.JUDGE.value,
            "contract_version": self.contract.version,
            "trace_id": trace_id(self.part.dataset, self.file),
            "rows": len(self.records),
            "rejected": self.verdicts.rejected,
            "reasons": {reason.value: count for reason, count in self.verdicts.reasons.items()},
            "rules": dict(self.verdicts.rules),
        } | _NOT_ENDED

    def told(self, span: str, parent: str, origin: RemoteContext | None, *, sampled: bool) -> JudgedFile:
        """Return what spans and events say of it. The parent is the span that published these records."""
        messages, at, rows = self.part.run.messages, self.part.at, self.records["_row"]
        return JudgedFile(
            dataset=self.part.dataset,
            file=self.file,
            rows=len(self.records),
            rejected=self.verdicts.rejected,
            reasons={reason.value: count for reason, count in self.verdicts.reasons.items()},
            span_id=span,
            parent_span_id=parent,
            origin=origin,
            sampled=sampled,
            first_row=rows[0],
            last_row=rows[-1],
            first_offset=messages[at[self.members[0]]].offset(),
            last_offset=messages[at[self.members[-1]]].offset(),
        )


def _origin(part: _Part, aside: _Aside) -> dict[str, object]:
    """Return what names the file and row of a message that cannot be judged, as far as it is known."""
    if aside.row is not None:
        return {"_file": aside.file, "_row": aside.row, "trace_id": trace_id(part.dataset, aside.file)}
    traced = read_context(part.headers(aside.index))
    offset = part.run.messages[part.at[aside.index]].offset()
    return {"_file": "", "_row": offset, "trace_id": traced.trace_id if traced else ""}


def _quarantined_row(part: _Part, index: int, reasons: list[dict[str, str]]) -> dict[str, object]:
    """Return an entry without what names its file."""
    message, raw = part.run.messages[part.at[index]], part.values[index]
    return {
        "dataset": part.dataset,
        "stage": Stage.JUDGE.value,
        "reasons": reasons,
        "raw": None,
        "record": raw[:KEPT_BYTES],
        "length": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "byte_start": None,
        "byte_end": None,
        "source_topic": part.run.place.topic,
        "source_partition": part.run.place.partition,
        "source_offset": message.offset(),
        "schema_id": part.schema_id if part.schema_id is None or part.schema_id < _INT_LIMIT else None,
        "contract_version": "",
    }


def _by_file(frame: pl.DataFrame) -> Iterator[tuple[str | None, list[int] | None]]:
    """Yield each file with the places of its records, None for all of them; file None: `_file` or `_row` is missing."""
    if not len(frame):
        return
    files = frame["_file"]
    if not files.null_count() and not frame["_row"].null_count() and (files == files[0]).all():
        yield files[0], None
        return
    named = pl.when(pl.col("_row").is_not_null()).then("_file")
    grouped = frame.select(named, _place=pl.int_range(pl.len())).group_by("_file", maintain_order=True).all()
    yield from grouped.iter_rows()
