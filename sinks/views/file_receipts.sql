-- The receipt of each file: rows read, stored and put aside, and whether they balance.
-- dashboard: files  panel: table
SELECT published_at, dataset, name, state, balanced, rows_read, rows_stored, rows_quarantined,
    rows_published - rows_stored - rows_quarantined AS rows_missing, trace_id
FROM headrace.receipts
WHERE {dataset:String} = '' OR dataset = {dataset:String}
ORDER BY published_at DESC, name
LIMIT 500
