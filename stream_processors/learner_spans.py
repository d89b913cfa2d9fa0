"""The span `learn`: one for each step of a learner and file, in the trace of that file."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from headrace.core.identity import trace_id
from headrace.observability.conventions import processed, row_range
from headrace.observability.propagation import RemoteContext, read_context, traceparent
from headrace.observability.tracing import FileTracer, Kind, new_span_id
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.topics import VALID, data_topic


@dataclass
class _Share:
    """What a step predicted of one file."""

    rows: int = 0
    first: int | None = None
    last: int | None = None
    origin: RemoteContext | None = None


@dataclass
class LearnSpans:
    """The spans of one step that is about to be committed; their ids stand in its messages."""

    spec: LearnerSpec
    started_ns: int = field(default_factory=time.time_ns)
    _ids: dict[str, str] = field(default_factory=lambda: defaultdict(new_span_id))

    def context(self, header: bytes) -> bytes:
        """Return the `traceparent` of predictions whose records came with this one, b"" without one."""
        origin = _origin(header)
        if origin is None:
            return b""
        return traceparent(origin.trace_id, self._ids[origin.trace_id], sampled=origin.sampled).encode()

    def record(self, tracer: FileTracer, predictions: Iterable[tuple[pl.DataFrame, bytes]]) -> None:
        """Record them, now that the step is committed. Predictions that are of no file have no trace."""
        ended_ns = time.time_ns()
        topic = data_topic(self.spec.dataset, VALID)
        for file, share in self._shares(predictions).items():
            told = processed(topic, None, f"headrace-learn-{self.spec.name}", share.rows)
            told |= row_range(share.first, share.last)
            tracer.record(
                "learn",
                dataset=self.spec.dataset,
                file=file,
                start_ns=self.started_ns,
                end_ns=ended_ns,
                span_id=self._ids[trace_id(self.spec.dataset, file)],
                parent_span_id=share.origin.span_id if share.origin else "",
                attributes=told | {"headrace.learner": self.spec.name, "headrace.rows": share.rows},
                kind=Kind.CONSUMER,
                sampled=share.origin.sampled if share.origin else None,
            )

    def _shares(self, predictions: Iterable[tuple[pl.DataFrame, bytes]]) -> dict[str, _Share]:
        shares: dict[str, _Share] = defaultdict(_Share)
        for frame, header in predictions:
            origin = _origin(header)
            rows = frame.lazy().drop_nulls("_file").group_by("_file", maintain_order=True)
            found = rows.agg(pl.len(), pl.col("_row").min().alias("first"), pl.col("_row").max().alias("last"))
            for file, count, first, last in found.collect().iter_rows():
                share = shares[file]
                share.rows += count
                share.first = min((one for one in (share.first, first) if one is not None), default=None)
                share.last = max((one for one in (share.last, last) if one is not None), default=None)
                if origin is not None and origin.trace_id == trace_id(self.spec.dataset, file):
                    share.origin = share.origin or origin
        return shares


def _origin(header: bytes) -> RemoteContext | None:
    return read_context({"traceparent": header.decode("ascii", "replace")})
