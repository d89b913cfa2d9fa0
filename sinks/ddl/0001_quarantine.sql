-- One row for every row that is not in a dataset's table: its bytes, its place and every reason.
CREATE TABLE IF NOT EXISTS headrace.quarantine
(
    `_file` String COMMENT 'The file''s id; empty for a message that is not of a file',
    `_row` Int64 COMMENT 'Row ordinal in the file; for a foreign message its offset',
    `dataset` LowCardinality(String),
    `stage` LowCardinality(String) COMMENT 'read: could not be framed or parsed; judge: refused by the contract or the decoder',
    `reasons` Array(Tuple(code String, field String, rule String, detail String)),
    `raw` Nullable(String) COMMENT 'Source bytes of the row, at most 64 KiB',
    `record` Nullable(String) COMMENT 'The framed message as it was on the raw topic, at most 64 KiB',
    `length` Int64 COMMENT 'Whole length of the source bytes or message',
    `sha256` String COMMENT 'SHA-256 of the whole source bytes or message',
    `byte_start` Nullable(Int64),
    `byte_end` Nullable(Int64),
    `source_topic` LowCardinality(String),
    `source_partition` Nullable(Int32),
    `source_offset` Nullable(Int64),
    `schema_id` Nullable(Int32),
    `contract_version` LowCardinality(String),
    `trace_id` String,
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC'),
    INDEX offset_range `_offset` TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (`dataset`, `_file`, `_row`)
SETTINGS non_replicated_deduplication_window = 10000;
