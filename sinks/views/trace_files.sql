-- The newest files with their trace ids.
-- dashboard: one-trace  panel: table
SELECT updated_at, dataset, name, state, rows_read, trace_id
FROM headrace.files
WHERE {dataset:String} = '' OR dataset = {dataset:String}
ORDER BY updated_at DESC, name
LIMIT 50
