-- What learners predicted, how their models stood, and what happened to them.
CREATE TABLE IF NOT EXISTS headrace.predictions
(
    `learner` LowCardinality(Nullable(String)),
    `version` LowCardinality(Nullable(String)),
    `model` LowCardinality(Nullable(String)),
    `generation` Nullable(Int32),
    `learned` Nullable(Int64),
    `dataset` LowCardinality(Nullable(String)),
    `value` Nullable(Float64),
    `label` LowCardinality(Nullable(String)),
    `probability` Nullable(Float64),
    `score` Nullable(Float64),
    `anomalous` Nullable(Bool),
    `step` Nullable(Int32),
    `about` Nullable(DateTime64(6, 'UTC')),
    `reasons` Nullable(String),
    `chance` Nullable(Float64),
    `_file` Nullable(String),
    `_row` Nullable(Int64),
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (`_partition`, `_offset`)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS headrace.model_metrics
(
    `learner` LowCardinality(String),
    `version` LowCardinality(String),
    `dataset` LowCardinality(String),
    `task` LowCardinality(String),
    `model` LowCardinality(String),
    `champion` Bool,
    `dummy` Bool,
    `generation` Int32,
    `rows` Int64,
    `at` DateTime64(6, 'UTC'),
    `event_at` Nullable(DateTime64(6, 'UTC')),
    `loss` Nullable(Float64),
    `error` Nullable(Float64),
    `metrics` Map(String, Float64),
    `recent_rows` Int64,
    `recent_loss` Nullable(Float64),
    `recent_error` Nullable(Float64),
    `recent_metrics` Map(String, Float64),
    `best_dummy` LowCardinality(String),
    `dummy_loss` Nullable(Float64),
    `beats_dummy` Nullable(Bool),
    `sampling` Float64,
    `anomalous` Nullable(Float64),
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (`learner`, `model`, `rows`, `_offset`)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS headrace.model_event_entries
(
    `event_id` String,
    `learner` LowCardinality(String),
    `version` LowCardinality(String),
    `dataset` LowCardinality(String),
    `kind` LowCardinality(String),
    `model` LowCardinality(String),
    `champion` LowCardinality(String),
    `snapshot` String,
    `rows` Int64,
    `at` DateTime64(6, 'UTC'),
    `event_at` Nullable(DateTime64(6, 'UTC')),
    `detail` String,
    `by` String,
    `command_id` String,
    `figures` Map(String, Float64),
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

CREATE VIEW IF NOT EXISTS headrace.model_events AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.model_event_entries FINAL WHERE `_deleted` = 0;
