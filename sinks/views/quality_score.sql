-- The quality score of each closed window, 0 to 100.
-- dashboard: dataset-quality  panel: timeseries  unit: none
SELECT start AS time, dataset, score
FROM headrace.windows
WHERE score IS NOT NULL AND ({dataset:String} = '' OR dataset = {dataset:String})
ORDER BY time, dataset
LIMIT 100000
