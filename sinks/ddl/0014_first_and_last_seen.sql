-- When records and their fields were first and last seen, by event time and arrival. Tuples are read by their names, so
-- profiles of before have nulls there. The view is made anew, as it names its columns when made.
ALTER TABLE headrace.window_entries
    MODIFY COLUMN `fields` Array(Tuple(`name` String, `rows` Int64, `nulls` Int64, `distinct` Nullable(Float64), `distinct_error` Float64, `mean` Nullable(Float64), `std` Nullable(Float64), `minimum` Nullable(Float64), `maximum` Nullable(Float64), `quantiles` Map(String, Float64), `histogram` Array(Tuple(`low` Float64, `high` Float64, `count` Int64)), `top` Array(Tuple(`value` String, `count` Int64)), `shapes` Array(Tuple(`value` String, `count` Int64)), `length_minimum` Nullable(Int64), `length_maximum` Nullable(Int64), `first_event` Nullable(Int64), `last_event` Nullable(Int64), `first_arrival` Nullable(Int64), `last_arrival` Nullable(Int64))),
    ADD COLUMN IF NOT EXISTS `first_event` Nullable(DateTime64(6, 'UTC')) AFTER `counts`,
    ADD COLUMN IF NOT EXISTS `last_event` Nullable(DateTime64(6, 'UTC')) AFTER `first_event`,
    ADD COLUMN IF NOT EXISTS `first_arrival` Nullable(DateTime64(6, 'UTC')) AFTER `last_event`,
    ADD COLUMN IF NOT EXISTS `last_arrival` Nullable(DateTime64(6, 'UTC')) AFTER `first_arrival`;

CREATE OR REPLACE VIEW headrace.windows AS
SELECT * EXCEPT (`_deleted`, `_key`, `cells`, `counts`) FROM headrace.window_entries FINAL
WHERE `_deleted` = 0
ORDER BY `revision` DESC
LIMIT 1 BY `dataset`, `clock`, `start`;
