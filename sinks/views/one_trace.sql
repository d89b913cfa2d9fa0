-- The spans of one trace in the order of their start; without a trace id those of the newest file.
-- dashboard: one-trace  panel: table
SELECT Timestamp AS started, round(Duration / 1e6, 1) AS duration_ms, ServiceName AS process, SpanName AS step,
    StatusCode AS status, SpanId AS span, ParentSpanId AS parent
FROM headrace.otel_traces
WHERE TraceId = if({trace:String} != '', {trace:String}, (SELECT argMax(TraceId, Timestamp) FROM headrace.otel_traces))
ORDER BY started, span
LIMIT 1000
