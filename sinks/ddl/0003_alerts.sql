-- Alerts. The same finding has the same id, so a repeat replaces it. Read the view.
CREATE TABLE IF NOT EXISTS headrace.alert_entries
(
    `alert_id` String,
    `dataset` LowCardinality(String),
    `rule` LowCardinality(String),
    `state` LowCardinality(String),
    `severity` LowCardinality(String),
    `observed` Nullable(Float64) COMMENT 'The value seen',
    `bound` Nullable(Float64) COMMENT 'The value allowed',
    `rows` Int64 COMMENT 'Rows looked at',
    `rows_at_risk` Int64,
    `file` String,
    `file_name` String,
    `reasons` Map(String, Int64) COMMENT 'Rows by reason code',
    `message` String,
    `hint` String COMMENT 'The next action',
    `trace_id` String,
    `contract_version` LowCardinality(String),
    `owner` LowCardinality(String),
    `raised_at` DateTime64(6, 'UTC'),
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC'),
    `_key` String,
    `_deleted` UInt8
)
ENGINE = ReplacingMergeTree(`_offset`, `_deleted`)
ORDER BY `_key`
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW IF NOT EXISTS headrace.alerts AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.alert_entries FINAL WHERE `_deleted` = 0;
