-- The ledger. An entry replaces the one before it; a tombstone on the topic removes it. Read the views.
CREATE TABLE IF NOT EXISTS headrace.file_entries
(
    `dataset` LowCardinality(String),
    `sha256` String,
    `file` String COMMENT 'The _file column: the first 16 digits of sha256',
    `name` String,
    `path` String COMMENT 'Where the file is now, relative to the home',
    `bytes` Int64,
    `modified_at` DateTime64(6, 'UTC'),
    `state` LowCardinality(String),
    `reason` LowCardinality(String),
    `detail` String,
    `first_name` String COMMENT 'Of a skipped copy: the name under which the same bytes came first',
    `format` LowCardinality(String),
    `contract_version` LowCardinality(String),
    `schema_id` Nullable(Int32),
    `partition` Nullable(Int32),
    `trace_id` String,
    `rows_read` Int64,
    `rows_published` Int64,
    `rows_unreadable` Int64,
    `next_row` Int64,
    `next_byte` Int64,
    `prefix_sha256` String,
    `balanced` Bool,
    `rows_stored` Int64,
    `rows_quarantined` Int64,
    `claimed_at` Nullable(DateTime64(6, 'UTC')),
    `published_at` Nullable(DateTime64(6, 'UTC')),
    `balanced_at` Nullable(DateTime64(6, 'UTC')),
    `updated_at` DateTime64(6, 'UTC'),
    `_topic` LowCardinality(String),
    `_partition` Int32,
    `_offset` Int64,
    `_ingested_at` DateTime64(3, 'UTC'),
    `_key` String COMMENT 'Key of the entry on the topic',
    `_deleted` UInt8
)
ENGINE = ReplacingMergeTree(`_offset`, `_deleted`)
ORDER BY `_key`
SETTINGS non_replicated_deduplication_window = 10000;

-- Every file the line has seen, in its latest state.
CREATE VIEW IF NOT EXISTS headrace.files AS
SELECT * EXCEPT (`_deleted`) FROM headrace.file_entries FINAL WHERE `_deleted` = 0;

-- What became of each file that was published: proof that its rows are where they should be.
CREATE VIEW IF NOT EXISTS headrace.receipts AS
SELECT
    `dataset`, `name`, `file`, `sha256`, `state`, `reason`, `balanced`, `rows_read`, `rows_published`, `rows_stored`,
    `rows_quarantined`, `trace_id`, `claimed_at`, `published_at`, `balanced_at`
FROM headrace.files
WHERE `state` IN ('published', 'balanced', 'partial', 'changed');
