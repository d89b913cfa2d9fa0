-- What to change in collecting or processing. The same advice has the same id. Read the view.
CREATE TABLE IF NOT EXISTS headrace.advice_entries
(
    `advice_id` String,
    `dataset` LowCardinality(String),
    `symptom` LowCardinality(String),
    `field` LowCardinality(String),
    `segment` String,
    `evidence` Array(String),
    `cause` String,
    `action` String,
    `owner` LowCardinality(String),
    `rows_at_risk` Int64,
    `expected_gain` Float64,
    `state` LowCardinality(String),
    `alert_ids` Array(String),
    `contract_version` LowCardinality(String),
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

CREATE VIEW IF NOT EXISTS headrace.advice AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.advice_entries FINAL WHERE `_deleted` = 0;
