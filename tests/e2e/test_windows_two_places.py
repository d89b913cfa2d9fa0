"""Every check has a verdict on a running line, and the warehouse's rows give the verdicts that the line published."""

import json
from collections import Counter
from typing import Any

import pytest

from headrace.runtime.samples import flights_by_month, sample_csv
from headrace.schemas.check_catalog import check_names
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.strict_yaml import load_yaml
from headrace.stream_processors.sketches.keys import LIMIT
from headrace.testing.line import BACKGROUND_SECS, RunningLine, wait_for

pytestmark = pytest.mark.stack

DATASET, FILES = "two_clocks", "of_files"
KEYS = 250_000
LEARNED = {"anomaly_share", "model_drift"}
"""Checks of what learners find: test_learner_findings.py has them on a running line."""
FLIGHT_CHECKS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("schema_match", [], {}),
    ("schema_change", [], {}),
    ("lossy_cast", ["tailnum"], {"to": "long", "atMost": 50, "unit": "percent"}),
    ("encoding", ["tailnum", "dest"], {}),
    ("null_rate", ["dep_time"], {"atMost": 3, "unit": "percent"}),
    ("missing_rate", ["tailnum"], {"sentinels": ["N14228"], "atMost": 1, "unit": "percent"}),
    ("complete_rows", [], {"fields": ["dep_time", "arr_time"], "atLeast": 97, "unit": "percent"}),
    ("conditional_required", ["arr_time"], {"when": "dep_time is not null"}),
    ("row_count", [], {"atLeast": 850}),
    ("volume_anomaly", [], {"least_windows": 3, "tolerance": 0.01}),
    ("silent_source", ["carrier"], {}),
    ("segment_coverage", ["carrier"], {"segments": ["UA", "HA", "OO"]}),
    ("latency", [], {"atMost": 60}),
    ("arrival_delay", [], {"atMost": 60}),
    ("late_rate", [], {"after_secs": 60.0}),
    ("out_of_order", [], {}),
    ("future_time", [], {}),
    ("sequence_gap", ["hour"], {}),
    ("duplicate_key", [], {"fields": ["time_hour", "carrier", "flight", "origin"]}),
    ("distinct_count", ["origin"], {"exactly": 3}),
    ("unique_ratio", ["dest"], {"atLeast": 5}),
    ("in_set", ["origin"], {"values": ["EWR", "JFK", "LGA"]}),
    ("pattern", ["tailnum"], {"pattern": "^N[0-9]{1,5}[A-Z]{0,2}$"}),
    ("range", ["dep_delay"], {"maximum": 60, "atMost": 5, "unit": "percent"}),
    ("length", ["carrier"], {"minimum": 2, "maximum": 2}),
    ("format", ["origin"], {"format": "country"}),
    ("row_rule", [], {"expression": "arr_time >= dep_time or arr_time is null", "atMost": 2, "unit": "percent"}),
    ("reference", ["carrier"], {"dataset": "airlines"}),
    ("mean_std_bounds", ["distance"], {"atLeast": 900, "atMost": 1_100}),
    ("quantile_bounds", ["dep_delay"], {"quantile": 0.9, "atMost": 60}),
    ("outlier_rate", ["dep_delay"], {"fence": 1.5, "reference": "trailing:P7D"}),
    ("stuck_value", ["year"], {"longest": 50}),
    ("unit_shift", ["distance"], {"reference": "pinned:2013-01-01/P7D"}),
    ("dominance_heaping", ["origin"], {}),
    ("psi_drift", ["dep_delay"], {"reference": "pinned:2013-01-01/P7D", "threshold": 0.3}),
    ("category_drift", ["carrier"], {"reference": "trailing:P7D", "threshold": 0.3}),
    ("metric_anomaly", ["dep_time"], {"metric": "null_rate", "least_windows": 6}),
    ("pii_leak", ["tailnum"], {}),
]
FILE_CHECKS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("parse_errors", [], {}),
    ("control_total", ["amount"], {"decimals": 0}),
    ("sink_reconcile", [], {}),
    ("duplicate_key", [], {"fields": ["id"]}),
    ("unique_ratio", ["id"], {}),
    ("replayed_file", [], {}),
    ("row_count", [], {"atLeast": 1}),
]
WINDOWS = "SELECT toUnixTimestamp(start), rows, verdicts FROM headrace.windows WHERE dataset = '{}' AND clock = '{}'"


def with_checks(document: dict[str, Any], checks: list[tuple[str, list[str], dict[str, Any]]]) -> str:
    """Return a contract with checks instead of those that it has."""
    (table,) = document["schema"]
    table["quality"] = [one for one in table.get("quality", []) if one.get("id") == "schedule_adds_up"]
    for name, fields, values in checks:
        text = json.dumps({"check": name, **({"fields": fields} if fields else {}), **values})
        table["quality"].append({"id": name, "type": "custom", "engine": "headrace", "implementation": text})
    for one in table["properties"]:
        one.pop("quality", None)
    return json.dumps(document)


def record_contract(line: RunningLine, dataset: str, text: str) -> None:
    folder = line.settings.paths().contracts
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{dataset}.odcs.yaml").write_text(text)


def dirty_january() -> bytes:
    """Return five weeks of real flights with rows that no rule of one record lets pass, and lines that nobody reads."""
    months = flights_by_month()
    header, *lines = next(months)[1].decode().splitlines()
    lines += next(months)[1].decode().splitlines()[1:6_000]
    columns = header.split(",")
    for number, text in enumerate(lines):
        values = text.split(",")
        if number % 61 == 5:
            values[columns.index("carrier")] = "much too long"
        if number % 97 == 8:
            values[columns.index("distance")] = "-1"
        if number % 131 == 9:
            values[columns.index("origin")] = "XXX"
        lines[number] = ",".join(values)
    lines[::4_000] = ["only,three,fields"] * len(lines[::4_000])
    return "\n".join([header, *lines, ""]).encode()


@pytest.mark.timeout(400)
def test_stored_and_refused_rows_of_a_dirty_file_give_the_verdicts_that_the_line_published(line: RunningLine) -> None:
    line.drop("airlines", "airlines.csv", sample_csv("airlines"))
    line.final_receipts("airlines", 1)
    document, _ = load_yaml(shipped_contract("flights") or "")
    document |= {"id": DATASET}
    document["schema"][0] |= {"name": DATASET}
    record_contract(line, DATASET, with_checks(document, FLIGHT_CHECKS))
    line.headrace("contract", "lint", str(line.settings.paths().contracts / f"{DATASET}.odcs.yaml"))
    header, *lines = dirty_january().splitlines(keepends=True)
    # The judge reads the keys of airlines beside its work: the rows of the first file come before them.
    line.drop(DATASET, "first.csv", header + b"".join(lines[:100]))
    line.final_receipts(DATASET, 1)
    line.drop(DATASET, "dirty.csv", header + b"".join(lines[100:]))
    receipts = line.final_receipts(DATASET, 2, 180)
    assert sum(receipt["rows_quarantined"] for receipt in receipts) > 400
    days = "SELECT count() FROM headrace.windows WHERE dataset = '{}' AND clock = 'event' AND rows > 0"
    closed = line.value(f"SELECT uniqExact(toDate(time_hour)) - 2 FROM headrace.{DATASET}")
    wait_for(lambda: line.value(days.format(DATASET)) == closed, 60, lambda: f"{closed} closed days")
    published = {start: verdicts for start, _, verdicts in windows(line, DATASET, "event")}
    told = json.loads(line.headrace("check", DATASET, "--json", check=False).stdout)
    assert told["refused_rows"] > 400
    assert told["refused_rows_left_out"] == 0
    assert_same(told, published)
    pinned = line.headrace("pin", DATASET, "2013-01-01/P7D", "--from", "2013-01-08", "--for", "P3D")
    assert pinned.stdout.strip() == f"{DATASET}: pinned:2013-01-01/P7D is now 3 of event time"
    assert {name for name, outcome in outcomes(published) if outcome != "not_checked"} == {
        name for name, *_ in FLIGHT_CHECKS
    }, "each has a verdict on some day"
    named = {name for name, *_ in FLIGHT_CHECKS} | {name for name, *_ in FILE_CHECKS}
    assert named == set(check_names()) - {"working_days"} - LEARNED, "no check without a verdict on a running line"


def windows(line: RunningLine, dataset: str, clock: str) -> list[tuple[int, int, dict[str, dict[str, Any]]]]:
    query = WINDOWS.format(dataset, clock) + " ORDER BY start FORMAT JSONCompactEachRow"
    rows = [json.loads(text) for text in line.value(query).splitlines()]
    return [(int(start), int(count), {one["rule"]: one for one in found}) for start, count, found in rows]


def outcomes(published: dict[int, dict[str, dict[str, Any]]]) -> set[tuple[str, str]]:
    return {(name, one["outcome"]) for found in published.values() for name, one in found.items()}


def assert_same(told: dict[str, Any], published: dict[int, dict[str, dict[str, Any]]]) -> None:
    """Compare every rule on every closed day; those that may differ say why, and are few."""
    compared, differing, apart = Counter[str](), dict[str, str](), []
    for window in told["windows"]:
        if window["start"] not in published:
            continue
        for mine in window["verdicts"]:
            theirs = published[window["start"]][mine["rule"]]
            if mine["differs"]:
                differing[mine["rule"]] = mine["differs"]
            within = mine["error"] + theirs["error"] + (3_600 if mine["unit"] == "seconds" and mine["differs"] else 0)
            close = abs((mine["observed"] or 0.0) - (theirs["observed"] or 0.0)) <= within + 1e-6
            same = (mine["outcome"], mine["rows"]) == (theirs["outcome"], theirs["rows"])
            blind = mine["rule"] == "reference" and "came before the keys" in theirs["detail"]
            if not blind and (not close or not same):
                apart.append((window["start"], mine["rule"], mine, theirs))
            compared[mine["rule"]] += 1
    assert not apart, f"{len(apart)} apart: {Counter(name for _, name, *_ in apart)}; {apart[0]}"
    assert compared == dict.fromkeys((name for name, *_ in FLIGHT_CHECKS), len(published))
    named = {"late_rate", "future_time", "distinct_count", "duplicate_key", "unique_ratio", "reference"}
    assert set(differing) == named


def told_by(line: RunningLine) -> dict[str, set[str]]:
    """Return which outcomes with which figures a rule about files had."""
    told: dict[str, set[str]] = {}
    for *_, verdicts in windows(line, FILES, "arrival"):
        for name, one in verdicts.items():
            seen = None if one["observed"] is None else float(one["observed"])
            told.setdefault(name, set()).add(f"{one['outcome']} {seen}")
    return told


def drop_files(line: RunningLine) -> None:
    """Drop a file of 250,000 keys, one of them twice, a manifest that is five too high, and a copy of the file."""
    properties = [{"name": name, "logicalType": "integer"} for name in ("id", "amount")]
    own = [{"property": "window", "value": "PT5S"}]
    document = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": FILES, "version": "1.0.0", "status": "active"}
    table = {"name": FILES, "customProperties": own, "properties": properties}
    record_contract(line, FILES, with_checks(document | {"schema": [table]}, FILE_CHECKS))
    manifests = line.settings.paths().manifests / FILES
    manifests.mkdir(parents=True)
    (manifests / "a.csv.json").write_text(json.dumps({"rows": KEYS, "amount": 3 * KEYS + 5}))
    rows = [f"{number},3" for number in range(KEYS - 1)]
    content = "\n".join(["id,amount", *rows, "77,3", ""]).encode()
    line.drop(FILES, "a.csv", content)
    # In a folder that is new, files which come at once are read in any order: the one with a manifest is the first.
    wait_for(lambda: bool(line.receipts(FILES)), 30, lambda: "a.csv is not in the ledger")
    line.drop(FILES, "b.csv", content)


@pytest.mark.timeout(420)
def test_checks_of_whole_files_and_of_silence_have_verdicts_on_a_running_line(line: RunningLine) -> None:
    drop_files(line)
    wanted = {
        "parse_errors": "pass 0.0",
        "control_total": "fail 5.0",
        "sink_reconcile": "pass 0.0",
        "replayed_file": "fail 1.0",
        "row_count": "fail 0.0",
    }

    def missing() -> dict[str, set[str]]:
        """Return what the rules that have not said what they are to say have said."""
        told = told_by(line)
        return {name: told.get(name, set()) for name, verdict in wanted.items() if verdict not in told.get(name, ())}

    wait_for(
        lambda: not missing(),
        BACKGROUND_SECS,
        lambda: f"{missing()} alone; {[one['state'] for one in line.receipts(FILES)]}, {line.status()['stages']}",
        1.0,
    )
    found = told_by(line)
    repeated = [one for one in found["duplicate_key"] if one.startswith("fail")]
    assert repeated == [f"fail {100.0 / KEYS}"], "one key of 250,000 comes twice: exact beyond what a window keeps"
    assert not [one for one in found["unique_ratio"] if one.startswith("pass")], "an estimate does not prove that"
    # A window that got a part of the file is exact by itself, and may pass; none passes by an estimate.
    passing = [
        rows for _, rows, found in windows(line, FILES, "arrival") if found["duplicate_key"]["outcome"] == "pass"
    ]
    assert not [rows for rows in passing if rows > LIMIT]
    told = json.loads(line.headrace("check", FILES, "--clock", "file", "--json", check=False).stdout)
    (window,) = told["windows"]
    by_file = {one["rule"]: (one["outcome"], one["observed"]) for one in window["verdicts"]}
    assert by_file["control_total"] == ("fail", 5.0)
    assert by_file["sink_reconcile"] == ("pass", 0.0)
    assert by_file["duplicate_key"] == ("fail", pytest.approx(100.0 / KEYS))
    assert by_file["parse_errors"] == ("pass", 0.0)
