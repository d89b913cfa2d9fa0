"""Which traces are kept: OpenTelemetry's variables, and the same answer as its own sampler gives."""

import logging

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.propagation import RemoteContext
from headrace.observability.sampling import Sampler, sampler_of
from headrace.observability.tracing import FileTracer, Kind, SpanRecord

FILES = [f"{number:016x}" for number in range(400)]


@pytest.mark.parametrize(
    ("environment", "sampler"),
    [
        ({}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampler(1.0, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.0, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampler(0.0)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampler(0.25, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, Sampler(0.1)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, Sampler(1.0)),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_SAMPLER": "always_on"}, Sampler(0.0, parent_based=False)),
    ],
)
def test_variables_say_which_traces_are_kept(environment: dict[str, str], sampler: Sampler) -> None:
    assert sampler_of(environment) == sampler


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_SAMPLER": "sometimes"},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7"},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
    ],
)
def test_value_that_means_nothing_keeps_all_and_is_told(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "headrace"):
        assert sampler_of(environment) == Sampler(1.0)
    assert "telemetry setting ignored" in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_share_keeps_the_traces_that_opentelemetrys_sampler_keeps(share: float) -> None:
    theirs = TraceIdRatioBased(share)
    for file in FILES:
        trace = trace_id("orders", file)
        kept = theirs.should_sample(None, int(trace, 16), "file").decision is Decision.RECORD_AND_SAMPLE
        assert Sampler(share).keeps(trace) is kept


def test_flag_of_the_span_before_decides_only_where_the_sampler_goes_by_it() -> None:
    trace = trace_id("orders", FILES[0])
    assert Sampler(0.0).keeps(trace, parent=True)
    assert not Sampler(1.0).keeps(trace, parent=False)
    assert Sampler(1.0, parent_based=False).keeps(trace, parent=False)


def test_tracer_exports_whole_traces_or_none_of_them() -> None:
    spans: list[SpanRecord] = []
    tracer = FileTracer(spans.append, Sampler(0.3))
    for file in FILES:
        tracer.record("file", dataset="orders", file=file, start_ns=1, end_ns=2, root=True)
        tracer.record("read", dataset="orders", file=file, start_ns=1, end_ns=2)
    kept = {span.trace_id for span in spans}
    assert 0 < len(kept) < len(FILES)
    assert len(spans) == 2 * len(kept)


def test_batch_is_kept_if_one_of_its_files_is_and_links_to_those_that_are() -> None:
    spans: list[SpanRecord] = []
    tracer = FileTracer(spans.append)
    links = [RemoteContext(trace_id("orders", file), root_span_id("orders", file), file == FILES[1]) for file in FILES]
    told = tracer.record_batch("judge batch", start_ns=1, end_ns=2, links=links, attributes={}, kind=Kind.CONSUMER)
    (span,) = spans
    assert told is not None
    assert (span.trace_id, span.span_id, span.links) == (told.trace_id, told.span_id, (links[1],))
    unkept = [link for link in links if not link.sampled]
    assert not tracer.record_batch("judge batch", start_ns=1, end_ns=2, links=unkept, attributes={}, kind=Kind.CLIENT)
    assert len(spans) == 1
