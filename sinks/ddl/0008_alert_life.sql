-- Alerts have a life, a window, a place and rows to look at. The view is made anew, as it names its columns when made.
ALTER TABLE headrace.alert_entries
    ADD COLUMN IF NOT EXISTS `subject` String AFTER `raised_at`,
    ADD COLUMN IF NOT EXISTS `class` LowCardinality(String) AFTER `subject`,
    ADD COLUMN IF NOT EXISTS `clock` LowCardinality(String) AFTER `class`,
    ADD COLUMN IF NOT EXISTS `window_start` Nullable(DateTime64(6, 'UTC')) AFTER `clock`,
    ADD COLUMN IF NOT EXISTS `window_end` Nullable(DateTime64(6, 'UTC')) AFTER `window_start`,
    ADD COLUMN IF NOT EXISTS `opened_at` Nullable(DateTime64(6, 'UTC')) AFTER `window_end`,
    ADD COLUMN IF NOT EXISTS `unit` LowCardinality(String) AFTER `opened_at`,
    ADD COLUMN IF NOT EXISTS `error` Float64 AFTER `unit`,
    ADD COLUMN IF NOT EXISTS `dimension` LowCardinality(String) AFTER `error`,
    ADD COLUMN IF NOT EXISTS `field` LowCardinality(String) AFTER `dimension`,
    ADD COLUMN IF NOT EXISTS `segments` Array(Tuple(`name` String, `rows` Int64, `share` Float64, `lift` Float64)) AFTER `field`,
    ADD COLUMN IF NOT EXISTS `samples` Array(Tuple(`file` String, `row` Int64)) AFTER `segments`,
    ADD COLUMN IF NOT EXISTS `advice_id` String AFTER `samples`,
    ADD COLUMN IF NOT EXISTS `silenced` Bool AFTER `advice_id`;

CREATE OR REPLACE VIEW headrace.alerts AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.alert_entries FINAL WHERE `_deleted` = 0;
