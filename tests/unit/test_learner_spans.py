"""Spans of learners: one a step and file, below the span that judged the records."""

from typing import cast

import polars as pl

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.propagation import read_context, traceparent
from headrace.observability.tracing import FileTracer, SpanRecord
from headrace.schemas.learner_spec import LearnerSpec
from headrace.stream_processors.learner_spans import LearnSpans


class Spec:
    name, dataset = "delay", "orders"


FILES = ["0" * 16, "1" * 16]


def frame(file: str | None, *rows: int | None) -> pl.DataFrame:
    return pl.DataFrame({"_file": [file] * len(rows), "_row": rows}, schema={"_file": pl.String, "_row": pl.Int64})


def header(file: str, span: str) -> bytes:
    return traceparent(trace_id("orders", file), span).encode()


def test_slices_of_a_file_in_one_step_are_one_span_that_their_messages_name() -> None:
    predictions = [
        (frame(FILES[0], 3, 4), header(FILES[0], "a" * 16)),
        (frame(FILES[0], 7), header(FILES[0], "b" * 16)),
    ]
    spans, told = LearnSpans(cast(LearnerSpec, Spec())), list[SpanRecord]()
    named = [read_context({"traceparent": spans.context(given).decode()}) for _, given in predictions]
    spans.record(FileTracer(told.append), predictions)
    (span,) = told
    assert [one.span_id for one in named if one] == [span.span_id] * 2
    assert (span.trace_id, span.parent_span_id) == (trace_id("orders", FILES[0]), "a" * 16)
    known = span.attributes
    assert [known[f"headrace.{name}"] for name in ("rows", "first_row", "last_row", "learner")] == [3, 3, 7, "delay"]
    assert known["messaging.consumer.group.name"] == "headrace-learn-delay"


def test_files_within_one_slice_have_a_span_each() -> None:
    both = pl.concat([frame(FILES[0], 9), frame(FILES[1], 0, 1)])
    spans, told = LearnSpans(cast(LearnerSpec, Spec())), list[SpanRecord]()
    spans.record(FileTracer(told.append), [(both, header(FILES[0], "a" * 16))])
    assert [(span.trace_id, span.parent_span_id) for span in told] == [
        (trace_id("orders", FILES[0]), "a" * 16),
        (trace_id("orders", FILES[1]), root_span_id("orders", FILES[1])),
    ]


def test_predictions_of_windows_have_no_trace() -> None:
    spans, told = LearnSpans(cast(LearnerSpec, Spec())), list[SpanRecord]()
    spans.record(FileTracer(told.append), [(frame(None, None), b"")])
    assert (told, spans.context(b"")) == ([], b"")
