-- Alerts that were raised, by hour and severity.
-- dashboard: alerts  panel: timeseries  unit: short
SELECT toStartOfHour(raised_at) AS time, severity, count() AS alerts
FROM headrace.alerts
WHERE {dataset:String} = '' OR dataset = {dataset:String}
GROUP BY time, severity
ORDER BY time, severity
