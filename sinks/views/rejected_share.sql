-- The share of rows that the contract refused, by dataset, over time.
-- dashboard: dataset-quality  panel: timeseries  unit: percentunit
SELECT toStartOfMinute(_ingested_at) AS time, dataset, sum(rejected) / greatest(sum(rows), 1) AS rejected
FROM headrace.profiles
WHERE stage = 'judge' AND ({dataset:String} = '' OR dataset = {dataset:String})
GROUP BY time, dataset
ORDER BY time, dataset
