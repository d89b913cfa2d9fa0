-- Alerts that are not resolved, the worst first.
-- dashboard: alerts  panel: table
SELECT raised_at, severity, dataset, rule, field, message, hint, rows_at_risk, owner, trace_id
FROM headrace.alerts
WHERE state != 'resolved' AND NOT silenced AND ({dataset:String} = '' OR dataset = {dataset:String})
ORDER BY indexOf(['critical', 'error', 'warning', 'info'], toString(severity)), rows_at_risk DESC, raised_at DESC
LIMIT 200
