"""The spans of a judged batch: `judge` in the trace of each file, and one of the batch where it holds several files."""

from collections.abc import Sequence
from typing import NamedTuple

from headrace.errors import HeadraceError
from headrace.observability.conventions import offsets, processed, row_range
from headrace.observability.tracing import FileTracer, Kind
from headrace.schemas.topics import RAW, data_topic
from headrace.stream_processors.judge import JudgedFile, Judgement
from headrace.transport.partition_reader import Place


class JudgedBatch(NamedTuple):
    """What a batch became, when it was read and when it was committed or failed."""

    judged: Sequence[tuple[Place, Judgement]]
    start_ns: int
    end_ns: int


def record_judged(tracer: FileTracer, group: str, batch: JudgedBatch, failure: HeadraceError | None = None) -> None:
    """Record the spans of a batch; of one that failed their ids are fresh, since nothing of it can be read."""
    files = [(place, done) for place, judgement in batch.judged for done in judgement.files]
    error, message = (failure.code, str(failure)) if failure else ("", "")
    linked = [done.origin for _, done in files if done.origin]
    whole = None
    if len(files) > 1 and linked:
        topics = {place.topic for place, _ in files}
        told = processed(min(topics), None, group, sum(done.rows for _, done in files))
        if len(topics) > 1:
            del told["messaging.destination.name"]
        whole = tracer.record_batch(
            "judge batch",
            start_ns=batch.start_ns,
            end_ns=batch.end_ns,
            links=linked,
            attributes=told | {"headrace.rejected": sum(done.rejected for _, done in files)},
            kind=Kind.CONSUMER,
            error=error,
            message=message,
        )
    for place, done in files:
        foreign = [done.origin] if done.origin and not done.parent_span_id else []
        tracer.record(
            "judge",
            dataset=done.dataset,
            file=done.file,
            start_ns=batch.start_ns,
            end_ns=batch.end_ns,
            span_id="" if failure else done.span_id,
            parent_span_id=done.parent_span_id,
            attributes=_told(place, done, group),
            kind=Kind.CONSUMER,
            links=[*foreign, *([whole] if whole else [])],
            state=done.origin.state if done.origin else "",
            error=error,
            message=message,
            sampled=done.sampled,
        )


def _told(place: Place, done: JudgedFile, group: str) -> dict[str, str | int | float | bool]:
    messaging = processed(data_topic(done.dataset, RAW), place.partition, group, done.rows)
    spans = offsets(done.first_offset, done.last_offset) | row_range(done.first_row, done.last_row)
    return messaging | spans | {"headrace.rows": done.rows, "headrace.rejected": done.rejected}
