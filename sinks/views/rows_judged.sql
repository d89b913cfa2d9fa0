-- Rows that were judged, by minute and dataset.
-- dashboard: line-health  panel: timeseries  unit: short
SELECT toStartOfMinute(_ingested_at) AS time, dataset, sum(rows) AS rows
FROM headrace.profiles
WHERE stage = 'judge' AND ({dataset:String} = '' OR dataset = {dataset:String})
GROUP BY time, dataset
ORDER BY time, dataset
