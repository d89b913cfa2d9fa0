-- A window says what was known beside its rows, so that its verdicts can be made again from the stored rows.
-- What of its state did not fit is named.
ALTER TABLE headrace.window_entries
    ADD COLUMN IF NOT EXISTS `facts` String DEFAULT '{}' AFTER `counts`,
    ADD COLUMN IF NOT EXISTS `left_out` Array(String) AFTER `facts`;

CREATE OR REPLACE VIEW headrace.windows AS
SELECT * EXCEPT (`_deleted`, `_key`, `cells`, `counts`) FROM headrace.window_entries FINAL
WHERE `_deleted` = 0
ORDER BY `revision` DESC
LIMIT 1 BY `dataset`, `clock`, `start`;
