-- The recent loss of each learner's champion and of its best dummy, by the time of learning.
-- dashboard: learners  panel: timeseries  unit: none
SELECT time, concat(learner, ' ', pair.1) AS model, pair.2 AS loss
FROM (
    SELECT at AS time, learner, arrayJoin([
        (toString(model), recent_loss), (concat('dummy ', best_dummy), dummy_loss)]) AS pair
    FROM headrace.model_metrics
    WHERE champion AND ({dataset:String} = '' OR dataset = {dataset:String})
)
WHERE pair.2 IS NOT NULL
ORDER BY time, model
LIMIT 100000
