-- What following an advice did, in a sentence. The view is made anew, as it names its columns when made.
ALTER TABLE headrace.advice_entries ADD COLUMN IF NOT EXISTS `measured` String AFTER `metric_after`;

CREATE OR REPLACE VIEW headrace.advice AS
SELECT * EXCEPT (`_deleted`, `_key`) FROM headrace.advice_entries FINAL WHERE `_deleted` = 0;
