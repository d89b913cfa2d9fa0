-- Advice has its evidence as a query, a person's decision, and figures of before and after it was done.
ALTER TABLE headrace.advice_entries
    ADD COLUMN IF NOT EXISTS `rule` LowCardinality(String) AFTER `raised_at`,
    ADD COLUMN IF NOT EXISTS `query` String AFTER `rule`,
    ADD COLUMN IF NOT EXISTS `confidence` Float64 AFTER `query`,
    ADD COLUMN IF NOT EXISTS `metric_before` Nullable(Float64) AFTER `confidence`,
    ADD COLUMN IF NOT EXISTS `metric_after` Nullable(Float64) AFTER `metric_before`,
    ADD COLUMN IF NOT EXISTS `decided_by` String AFTER `metric_after`,
    ADD COLUMN IF NOT EXISTS `decided_at` Nullable(DateTime64(6, 'UTC')) AFTER `decided_by`,
    ADD COLUMN IF NOT EXISTS `why` String AFTER `decided_at`;

CREATE OR REPLACE VIEW headrace.advice AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.advice_entries FINAL WHERE `_deleted` = 0;
