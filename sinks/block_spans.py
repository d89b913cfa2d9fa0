"""The spans of an inserted block: `store` in the trace of each file, and one of the block where it holds several."""

from headrace.core.clock import micros
from headrace.core.identity import root_span_id, trace_id
from headrace.observability.conventions import inserted
from headrace.observability.propagation import RemoteContext
from headrace.observability.tracing import FileTracer, Kind
from headrace.schemas.ledger import FileEntry
from headrace.sinks.base import Block
from headrace.sinks.inserter import Outcome


def record_stored(tracer: FileTracer, outcome: Outcome) -> None:
    """Record a block that was stored or refused; one that was given up because of a stop is done again."""
    if not outcome.stored and outcome.refusal is None:
        return
    block, files, refusal = outcome.prepared.block, outcome.prepared.files, outcome.refusal
    error, message = (refusal.code, str(refusal)) if refusal else ("", "")
    dataset = block.target.table
    whole = None
    if len(files) > 1:
        whole = tracer.record_batch(
            "store batch",
            start_ns=outcome.start_ns,
            end_ns=outcome.end_ns,
            links=[parent or _root(dataset, file) for file, parent in files.items()],
            attributes=_told(block),
            kind=Kind.CLIENT,
            error=error,
            message=message,
        )
    for file, parent in files.items():
        tracer.record(
            "store",
            dataset=dataset,
            file=file,
            start_ns=outcome.start_ns,
            end_ns=outcome.end_ns,
            parent_span_id=parent.span_id if parent else "",
            attributes=_told(block),
            kind=Kind.CLIENT,
            links=[whole] if whole else (),
            state=parent.state if parent else "",
            error=error,
            message=message,
            sampled=parent.sampled if parent else None,
        )


def record_receipt(tracer: FileTracer, entry: FileEntry) -> None:
    """Record the wait of a file from its last published row until all its rows were counted in the tables."""
    end = entry.balanced_at or entry.updated_at
    tracer.record(
        "receipt",
        dataset=entry.dataset,
        file=entry.file,
        start_ns=micros(entry.published_at or end) * 1_000,
        end_ns=micros(end) * 1_000,
        attributes={
            "headrace.rows": entry.rows_published,
            "headrace.stored": entry.rows_stored or 0,
            "headrace.quarantined": entry.rows_quarantined or 0,
            "db.system.name": "clickhouse",
            "db.namespace": "headrace",
        },
    )


def _root(dataset: str, file: str) -> RemoteContext:
    return RemoteContext(trace_id(dataset, file), root_span_id(dataset, file))


def _told(block: Block) -> dict[str, str | int | float | bool]:
    return inserted(block.target.table, block.rows) | {
        "headrace.rows": block.rows,
        "headrace.token": block.token,
        "headrace.topic": block.place.topic,
        "headrace.partition": block.place.partition,
        "headrace.first_offset": block.first,
        "headrace.last_offset": block.last,
    }
