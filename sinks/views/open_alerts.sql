-- Alerts that are not resolved, the worst first: the last word on each subject, as headrace alerts --open tells it.
-- dashboard: alerts  panel: table
SELECT raised_at, severity, dataset, rule, field, message, hint, rows_at_risk, owner, trace_id
FROM
(
    SELECT * FROM headrace.alerts
    WHERE {dataset:String} = '' OR dataset = {dataset:String}
    ORDER BY raised_at DESC, ifNull(window_start, raised_at) DESC, _offset DESC
    LIMIT 1 BY if(subject = '', alert_id, subject)
)
WHERE state != 'resolved' AND NOT silenced
ORDER BY indexOf(['critical', 'error', 'warning', 'info'], toString(severity)), rows_at_risk DESC, raised_at DESC
LIMIT 200
