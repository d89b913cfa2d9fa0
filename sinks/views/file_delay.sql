-- How long files took from being claimed until all their rows were counted in the tables, in seconds.
-- dashboard: files  panel: timeseries  unit: s
SELECT toStartOfMinute(assumeNotNull(balanced_at)) AS time, dataset,
    max(dateDiff('millisecond', claimed_at, balanced_at)) / 1000 AS seconds
FROM headrace.files
WHERE balanced_at IS NOT NULL AND claimed_at IS NOT NULL AND ({dataset:String} = '' OR dataset = {dataset:String})
GROUP BY time, dataset
ORDER BY time, dataset
