-- Closed windows with their verdicts. The view windows shows the last revision of each, window_entries all of them.
CREATE TABLE IF NOT EXISTS headrace.window_entries
(
    `dataset` LowCardinality(String),
    `clock` LowCardinality(String),
    `start` DateTime64(6, 'UTC'),
    `end` DateTime64(6, 'UTC'),
    `revision` Int32,
    `closed_at` DateTime64(6, 'UTC'),
    `contract_version` LowCardinality(String),
    `rows` Int64,
    `rejected` Int64,
    `score` Nullable(Float64),
    `dimensions` Map(String, Float64),
    `worst_field` LowCardinality(String),
    `worst_score` Nullable(Float64),
    `checked` Int32,
    `not_checked` Array(String),
    `verdicts` Array(Tuple(`rule` String, `check` String, `field` String, `dimension` String, `severity` String, `outcome` String, `observed` Nullable(Float64), `error` Float64, `lower` Nullable(Float64), `upper` Nullable(Float64), `unit` String, `rows` Int64, `rows_at_risk` Int64, `loss` Float64, `weight` Float64, `detail` String, `demand` String)),
    `fields` Array(Tuple(`name` String, `rows` Int64, `nulls` Int64, `distinct` Nullable(Float64), `distinct_error` Float64, `mean` Nullable(Float64), `std` Nullable(Float64), `minimum` Nullable(Float64), `maximum` Nullable(Float64), `quantiles` Map(String, Float64), `histogram` Array(Tuple(`low` Float64, `high` Float64, `count` Int64)), `top` Array(Tuple(`value` String, `count` Int64)), `shapes` Array(Tuple(`value` String, `count` Int64)), `length_minimum` Nullable(Int64), `length_maximum` Nullable(Int64))),
    `cells` Array(Tuple(`owner` String, `figure` String, `data` String)),
    `counts` Map(String, Int64),
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

CREATE VIEW IF NOT EXISTS headrace.windows AS
SELECT * EXCEPT (`_deleted`, `_key`, `cells`, `counts`) FROM headrace.window_entries FINAL
WHERE `_deleted` = 0
ORDER BY `revision` DESC
LIMIT 1 BY `dataset`, `clock`, `start`;
