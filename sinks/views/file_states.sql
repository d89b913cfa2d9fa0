-- Files by state.
-- dashboard: files  panel: barchart
SELECT state, count() AS files, sum(rows_read) AS rows
FROM headrace.files
WHERE {dataset:String} = '' OR dataset = {dataset:String}
GROUP BY state
ORDER BY files DESC, state
