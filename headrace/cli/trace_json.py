"""What `headrace trace --json` prints: OTLP's JSON, whose keys are OpenTelemetry's."""

from typing import Annotated, NotRequired, TypedDict


class _Value(TypedDict):
    stringValue: NotRequired[Annotated[str, "A text."]]
    intValue: NotRequired[Annotated[str, "A whole number, as OTLP writes it: in quotes."]]
    doubleValue: NotRequired[Annotated[float, "A number."]]
    boolValue: NotRequired[Annotated[bool, "A truth value."]]


class _Attribute(TypedDict):
    key: Annotated[str, "Name of the attribute."]
    value: Annotated[_Value, "Its value: one of the keys below."]


class _Resource(TypedDict):
    attributes: Annotated[list[_Attribute], "What is known of the process."]


class _Scope(TypedDict):
    name: Annotated[str, "Who made the spans."]
    version: Annotated[str, "Its version."]


class _Event(TypedDict):
    timeUnixNano: Annotated[str, "When, in nanoseconds since 1970."]
    name: Annotated[str, "What happened."]
    attributes: NotRequired[Annotated[list[_Attribute], "What is known of it."]]


class _Link(TypedDict):
    traceId: Annotated[str, "Trace of the span linked to, 32 hex digits."]
    spanId: Annotated[str, "That span, 16 hex digits."]
    flags: Annotated[int, "OTLP's flags."]


class _Status(TypedDict):
    code: Annotated[int, "1: done, 2: failed."]
    message: NotRequired[Annotated[str, "Why it failed."]]


class _Span(TypedDict):
    traceId: Annotated[str, "Trace of the file, 32 hex digits; a batch of several files has its own."]
    spanId: Annotated[str, "The span, 16 hex digits."]
    parentSpanId: NotRequired[Annotated[str, "The span above it; the root has none."]]
    traceState: NotRequired[Annotated[str, "`tracestate` of the messages that it was about."]]
    name: Annotated[str, "The step; `row` is the row that was asked for."]
    kind: Annotated[int, "1: internal, 3: client, 4: producer, 5: consumer."]
    startTimeUnixNano: Annotated[str, "Its start, in nanoseconds since 1970."]
    endTimeUnixNano: Annotated[str, "Its end."]
    attributes: NotRequired[Annotated[list[_Attribute], "What is known of the step."]]
    events: NotRequired[Annotated[list[_Event], "What happened in it; for a row its hops."]]
    links: NotRequired[Annotated[list[_Link], "Spans of other traces that it belongs with."]]
    status: Annotated[_Status, "Whether it was done."]
    flags: Annotated[int, "OTLP's flags."]


class _ScopeSpans(TypedDict):
    scope: Annotated[_Scope, "Who made them."]
    spans: Annotated[list[_Span], "The spans."]


class _ResourceSpans(TypedDict):
    resource: Annotated[_Resource, "The process."]
    scopeSpans: Annotated[list[_ScopeSpans], "Its spans."]


class TraceDocument(TypedDict):
    """OTLP's TracesData."""

    resourceSpans: Annotated[list[_ResourceSpans], "One for each process."]
