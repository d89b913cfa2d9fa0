-- What the collector's ClickHouse exporter added to its traces table in autumn 2026 (contrib pull request 50878):
-- attributes as key=value, computed when they are read, and an index for words in span names.
ALTER TABLE headrace.otel_traces
    ADD COLUMN IF NOT EXISTS `ResourceAttributeItems` Array(String)
        ALIAS arrayMap(pair -> concat(pair.1, '=', pair.2), CAST(ResourceAttributes, 'Array(Tuple(String, String))'))
        COMMENT 'Resource attributes as key=value, computed when read.',
    ADD COLUMN IF NOT EXISTS `SpanAttributeItems` Array(String)
        ALIAS arrayMap(pair -> concat(pair.1, '=', pair.2), CAST(SpanAttributes, 'Array(Tuple(String, String))'))
        COMMENT 'Span attributes as key=value, computed when read.',
    ADD INDEX IF NOT EXISTS idx_lower_span_name lower(SpanName) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8;
