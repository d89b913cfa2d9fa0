-- What happened to the models: drift, promotions, snapshots.
-- dashboard: learners  panel: table
SELECT nullIf(at, fromUnixTimestamp64Micro(0, 'UTC')) AS at, learner, kind, model, champion, rows, detail
FROM headrace.model_events
WHERE {dataset:String} = '' OR dataset = {dataset:String}
ORDER BY at DESC, learner
LIMIT 200
