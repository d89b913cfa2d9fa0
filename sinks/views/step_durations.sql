-- How long each kind of step took: half of them at most p50, 95 of 100 at most p95, in milliseconds.
-- dashboard: line-health  panel: table
SELECT ServiceName AS process, SpanName AS step, count() AS spans,
    round(quantile(0.5)(Duration) / 1e6, 1) AS p50_ms, round(quantile(0.95)(Duration) / 1e6, 1) AS p95_ms,
    countIf(StatusCode = 'Error') AS errors
FROM headrace.otel_traces
GROUP BY process, step
ORDER BY sum(Duration) DESC
LIMIT 50
