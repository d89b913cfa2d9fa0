-- Rows that were put aside, by reason.
-- dashboard: dataset-quality  panel: table
SELECT dataset, stage, reason.code AS reason, reason.field AS field, reason.rule AS rule, count() AS rows,
    max(_ingested_at) AS latest
FROM headrace.quarantine ARRAY JOIN reasons AS reason
WHERE {dataset:String} = '' OR dataset = {dataset:String}
GROUP BY dataset, stage, reason, field, rule
ORDER BY rows DESC, dataset, reason
LIMIT 100
