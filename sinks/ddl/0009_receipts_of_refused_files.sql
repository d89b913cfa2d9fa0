-- The reader's last delta says where the file is and why.
ALTER TABLE headrace.profiles ADD COLUMN IF NOT EXISTS `file_detail` String DEFAULT '' COMMENT 'The reason in words' AFTER `file_reason`;
ALTER TABLE headrace.profiles ADD COLUMN IF NOT EXISTS `file_path` String DEFAULT '' COMMENT 'Where the file is when it has ended, relative to the home' AFTER `file_detail`;

-- A file that was refused when it was to go on: its first rows stand, and are proved.
CREATE OR REPLACE VIEW headrace.receipts AS
SELECT
    `dataset`, `name`, `file`, `sha256`, `state`, `reason`, `balanced`, `rows_read`, `rows_published`, `rows_stored`,
    `rows_quarantined`, `trace_id`, `claimed_at`, `published_at`, `balanced_at`
FROM headrace.files
WHERE `state` IN ('published', 'balanced', 'partial', 'changed') OR (`state` = 'rejected' AND `rows_published` > 0);
