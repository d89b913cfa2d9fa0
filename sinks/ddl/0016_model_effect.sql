-- A drift is ranked by what it cost the learners. The view is made anew, as it names its columns when made.
ALTER TABLE headrace.alert_entries
    ADD COLUMN IF NOT EXISTS `model_effect` Float64 AFTER `silenced`;

CREATE OR REPLACE VIEW headrace.alerts AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.alert_entries FINAL WHERE `_deleted` = 0;
