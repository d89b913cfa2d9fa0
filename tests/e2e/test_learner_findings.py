"""What learners find on a running line is a finding like any other: an alert with segment and rows, counted once."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.testing.line import RunningLine, wait_for

pytestmark = pytest.mark.stack

DATASET, WATCHER, FORECASTER = "kilns", "kilns_odd", "kilns_output"
START = datetime(2024, 3, 1, tzinfo=UTC)
SITES, AN_HOUR = ("north", "south", "west"), 40
BURST, DRIFT, SHIFT, HOURS = 30, range(34, 37), 44, 47
CONTRACT = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": DATASET,
    "version": "1.0.0",
    "status": "active",
    "schema": [
        {
            "name": DATASET,
            "customProperties": [
                {"property": "headrace.timeField", "value": "at"},
                {"property": "window", "value": "PT1H"},
            ],
            "quality": [
                {"id": rule, "type": "custom", "engine": "headrace", "implementation": json.dumps(asked)}
                for rule, asked in (
                    ("odd", {"check": "anomaly_share", "learner": WATCHER, "atMost": 5, "unit": "percent"}),
                    ("worse", {"check": "model_drift", "learner": FORECASTER}),
                    ("moved", {"check": "psi_drift", "fields": ["load"]}),
                )
            ],
            "properties": [
                {"name": name, "logicalType": kind}
                | {"customProperties": [{"property": "headrace.knownAtPrediction", "value": name != "output"}]}
                for name, kind in (
                    ("at", "timestamp"),
                    ("site", "string"),
                    ("heat", "number"),
                    ("load", "number"),
                    ("output", "number"),
                )
            ],
        }
    ],
}
LEARNERS = {
    WATCHER: {"task": "anomaly", "features": ["heat"], "models": [{"model": "robust_z"}]},
    FORECASTER: {
        "task": "regression",
        "target": "output",
        "features": ["load"],
        "models": [{"model": "linear_regression"}],
    },
}


def rows(hours: range, seed: int) -> bytes:
    """Return readings: hot in the west in the hour of the burst, and another output in the south while it drifts.

    In the hour of the shift half of the loads are greater than any before, and give more than twice of their output.
    """
    chance, lines = random.Random(seed), ["at,site,heat,load,output"]
    for hour in hours:
        for number in range(AN_HOUR * len(SITES)):
            site = SITES[number % len(SITES)]
            moment = START + timedelta(hours=hour, seconds=number * 20)
            heat = chance.gauss(800, 10) + (400 if hour == BURST and site == "west" and number % 2 else 0)
            load = chance.uniform(10, 12) if hour == SHIFT and number % 2 else chance.uniform(0, 10)
            output = 2 * load + chance.gauss(0, 0.5) + (9 if hour in DRIFT and site == "south" else 0)
            output += 12 if load > 10 else 0
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{site},{heat:.2f},{load:.3f},{output:.3f}")
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def kilns(line: RunningLine) -> RunningLine:
    """Drop a stable stream, a burst and a drift, and kill the learner while it learns each."""
    paths = line.settings.paths()
    paths.learners.mkdir(parents=True, exist_ok=True)
    paths.contracts.mkdir(parents=True, exist_ok=True)
    (paths.contracts / f"{DATASET}.odcs.yaml").write_text(json.dumps(CONTRACT))
    line.headrace("contract", "lint", str(paths.contracts / f"{DATASET}.odcs.yaml"))
    for name, asked in LEARNERS.items():
        text = json.dumps({"name": name, "version": "1.0.0", "dataset": DATASET, **asked})
        (paths.learners / f"{name}.yaml").write_text(text)
    parts = (range(15), range(15, 30), range(30, 34), range(34, 39), range(39, HOURS))
    for number, hours in enumerate(parts):
        line.drop(DATASET, f"kilns-{number}.csv", rows(hours, number))
        line.final_receipts(DATASET, number + 1)
        wait_for(lambda: predicted(line) > 0, 60, lambda: "no prediction came")
        line.kill("learner")
    return line


def predicted(line: RunningLine) -> int:
    found = line.value(f"SELECT count() FROM headrace.predictions WHERE dataset = '{DATASET}'")
    return int(found or 0)


def settled(line: RunningLine, hour: int) -> dict[str, Any]:
    """Return the newest telling of an hour's window of event time, once no rule of it waits for a learner."""
    moment = f"{START + timedelta(hours=hour):%Y-%m-%d %H:%M:%S}"
    query = (
        f"SELECT revision, rows, score, verdicts FROM headrace.windows WHERE dataset = '{DATASET}' AND clock = 'event' "
        f"AND start = '{moment}' ORDER BY revision DESC LIMIT 1 FORMAT JSONEachRow"
    )
    found: dict[str, Any] = {}

    def through() -> bool:
        found.clear()
        found.update(json.loads(line.value(query) or "{}"))
        details = [one["detail"] for one in found.get("verdicts", ())]
        return bool(details) and not any("so far" in detail for detail in details)

    wait_for(through, 120, lambda: f"hour {hour}: {found}", 0.5)
    return found | {"verdicts": {one["rule"]: one for one in found["verdicts"]}}


def alert_of(line: RunningLine, rule: str, complete: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the alert of a rule that opened by event time, once it says what is looked for."""
    query = (
        f"SELECT * FROM headrace.alerts WHERE dataset = '{DATASET}' AND rule = '{rule}' AND clock = 'event' "
        "AND state = 'open' ORDER BY window_start LIMIT 1 FORMAT JSONEachRow"
    )
    found: dict[str, Any] = {}

    def said() -> bool:
        found.clear()
        found.update(json.loads(line.value(query) or "{}"))
        return bool(found) and bool(complete(found))

    wait_for(said, 90, lambda: f"alert of {rule}: {found}", 0.5)
    return found


@pytest.mark.timeout(600)
def test_each_record_is_counted_once_although_the_learner_was_killed(kilns: RunningLine) -> None:
    for hour in (0, 14, 15, 29, 33, 36):
        settled(kilns, hour)
    query = (
        "SELECT toUnixTimestamp(start), argMax(rows - rejected, revision), argMax(counts, revision) "
        f"FROM headrace.window_entries WHERE dataset = '{DATASET}' AND clock = 'event' "
        "GROUP BY start ORDER BY start FORMAT JSONCompactEachRow"
    )
    told = [json.loads(text) for text in kilns.column(query)]
    assert len(told) == HOURS - 1
    for start, accepted, counts in told:
        for learner in LEARNERS:
            assert int(counts[f"learner:{learner}/seen"]) == int(accepted) == AN_HOUR * len(SITES), start


@pytest.mark.timeout(600)
def test_a_burst_in_one_segment_is_an_alert_with_that_segment_and_its_rows(kilns: RunningLine) -> None:
    window = settled(kilns, BURST)
    verdict = window["verdicts"]["odd"]
    assert verdict["outcome"] == "fail"
    assert 10 <= verdict["observed"] <= 25, "half of one site of three"
    assert window["score"] < 100.0
    assert settled(kilns, 29)["verdicts"]["odd"]["outcome"] == "pass"
    alert = alert_of(kilns, "odd", lambda one: one["segments"])
    assert f"{START + timedelta(hours=BURST):%Y-%m-%d %H:%M}" in alert["window_start"]
    assert "site=west" in alert["segments"][0]["name"]
    assert alert["file_name"] == "kilns-2.csv"
    assert alert["samples"]
    for sample in alert["samples"]:
        place = f"_file = '{sample['file']}' AND _row = {sample['row']}"
        assert kilns.value(f"SELECT site FROM headrace.{DATASET} WHERE {place} AND heat > 1000") == "west"


@pytest.mark.timeout(600)
def test_a_changed_process_is_an_alert_with_the_segment_where_the_model_loses(kilns: RunningLine) -> None:
    assert settled(kilns, 33)["verdicts"]["worse"]["outcome"] == "pass"
    assert settled(kilns, DRIFT[0])["verdicts"]["worse"]["outcome"] == "fail"
    alert = alert_of(kilns, "worse", lambda one: one["segments"] and one["advice_id"])
    assert "site=south" in alert["segments"][0]["name"]
    for sample in alert["samples"]:
        place = f"_file = '{sample['file']}' AND _row = {sample['row']}"
        assert kilns.value(f"SELECT site FROM headrace.{DATASET} WHERE {place}") == "south"
    given = f"SELECT evidence FROM headrace.advice WHERE advice_id = '{alert['advice_id']}' FORMAT JSONEachRow"
    wait_for(lambda: bool(kilns.value(given)), 30, lambda: "no advice came")
    assert f"{FORECASTER} lost" in kilns.value(given)


@pytest.mark.timeout(600)
def test_a_drift_of_a_feature_says_what_it_cost_the_model(kilns: RunningLine) -> None:
    assert settled(kilns, SHIFT)["verdicts"]["moved"]["outcome"] == "fail"
    alert = alert_of(kilns, "moved", lambda one: one["model_effect"] > 0)
    assert "rows in the new range of load lose" in alert["message"]
    assert f"that {FORECASTER} lost more a record" in alert["message"]


@pytest.mark.timeout(600)
def test_the_warehouse_gives_the_verdicts_that_the_line_published(kilns: RunningLine) -> None:
    published = {hour: settled(kilns, hour)["verdicts"] for hour in (20, BURST, DRIFT[0])}
    told = json.loads(kilns.headrace("check", DATASET, "--json", check=False).stdout)
    text = json.dumps(told)
    assert WATCHER in text
    for verdicts in published.values():
        for verdict in verdicts.values():
            assert json.dumps(verdict["detail"])[1:-1] in text, verdict["detail"]
