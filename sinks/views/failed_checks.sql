-- Checks that failed, with their latest figure and the rows at risk.
-- dashboard: dataset-quality  panel: table
SELECT dataset, verdict.rule AS rule, verdict.field AS field, verdict.severity AS severity, count() AS windows,
    max(start) AS latest, argMax(verdict.observed, start) AS observed, argMax(verdict.lower, start) AS lower,
    argMax(verdict.upper, start) AS upper, sum(verdict.rows_at_risk) AS rows_at_risk
FROM headrace.windows ARRAY JOIN verdicts AS verdict
WHERE verdict.outcome = 'fail' AND ({dataset:String} = '' OR dataset = {dataset:String})
GROUP BY dataset, rule, field, severity
ORDER BY rows_at_risk DESC, dataset, rule
LIMIT 100
