-- How each model stands: what it learned, its recent loss, and whether it beats its dummies.
-- dashboard: learners  panel: table
SELECT learner, model, argMax(champion, rows) AS is_champion, max(rows) AS learned, argMax(recent_loss, rows) AS loss,
    argMax(beats_dummy, rows) AS beats, max(at) AS latest
FROM headrace.model_metrics
WHERE {dataset:String} = '' OR dataset = {dataset:String}
GROUP BY learner, model
ORDER BY learner, is_champion DESC, model
LIMIT 200
