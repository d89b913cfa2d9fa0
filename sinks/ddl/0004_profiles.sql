-- Profile deltas: what each batch adds to a file's profile. They merge by sums; see docs for the moments.
CREATE TABLE IF NOT EXISTS headrace.profiles
(
    `dataset` LowCardinality(String),
    `file` String,
    `name` String COMMENT 'The file''s name; in the reader''s deltas only',
    `stage` LowCardinality(String),
    `contract_version` LowCardinality(String),
    `trace_id` String,
    `rows` Int64,
    `rejected` Int64,
    `reasons` Map(String, Int64) COMMENT 'Rows by reason code',
    `rules` Map(String, Int64) COMMENT 'Rows by failing rule id',
    `columns` Array(Tuple(
        name String,
        rows Int64,
        nulls Int64,
        numbers Int64,
        mean Float64,
        m2 Float64,
        minimum Nullable(Float64),
        maximum Nullable(Float64),
        text_minimum Nullable(String),
        text_maximum Nullable(String))) COMMENT 'Per field: SELECT c.name, c.nulls FROM headrace.profiles ARRAY JOIN columns AS c',
    `file_rows` Nullable(Int64) COMMENT 'Set in the last delta of a file',
    `file_state` LowCardinality(String),
    `file_reason` LowCardinality(String),
    `tolerance` Nullable(Float64),
    `owner` LowCardinality(String),
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC'),
    INDEX offset_range `_offset` TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (`dataset`, `file`, `_offset`)
SETTINGS non_replicated_deduplication_window = 10000;
