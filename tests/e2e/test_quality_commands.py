"""headrace profile, advice and alerts on a running line: what they print is what the files held and people decided."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from headrace.testing.line import RunningLine, wait_for

pytestmark = pytest.mark.stack
DATASET = "watched_readings"
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, A_DAY, DEVICES = 7, 240, 6
CONTRACT = f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
team: {{name: Field, members: [{{username: field-data@example.org, role: Owner}}]}}
schema:
  - name: {DATASET}
    customProperties:
      - {{property: headrace.timeField, value: at}}
      - {{property: window, value: P1D}}
    properties:
      - {{name: device, logicalType: string}}
      - {{name: at, logicalType: timestamp}}
      - name: value
        logicalType: number
        quality: [{{id: value_missing, metric: nullValues, mustBeLessThan: 2, unit: percent}}]
      - name: note
        logicalType: string
        quality: [{{id: note_missing, metric: nullValues, mustBeLessThan: 2, unit: percent}}]
      - {{name: mail, logicalType: string, classification: restricted, tags: [pii]}}
"""


def readings(days: range) -> bytes:
    """Return rows: from the third day on device D3 leaves `value` empty, on the first day every tenth has no note."""
    lines = ["device,at,value,note,mail"]
    for day in days:
        for n in range(A_DAY):
            device, at = f"D{n % DEVICES + 1}", FIRST + timedelta(days=day, minutes=6 * n)
            value = "" if device == "D3" and day >= 2 else f"{20 + n / A_DAY:.3f}"
            note = "" if day == 0 and n % 10 == 0 else "ok"
            lines.append(f"{device},{at:%Y-%m-%dT%H:%M:%SZ},{value},{note},p{n}@example.org")
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def watched(line: RunningLine) -> RunningLine:
    """Drop a week in two files; return when its alert has an advice that the warehouse holds."""
    folder = line.settings.paths().contracts
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{DATASET}.odcs.yaml").write_text(CONTRACT)
    line.drop(DATASET, "first.csv", readings(range(4)))
    line.final_receipts(DATASET, 1)
    line.drop(DATASET, "second.csv", readings(range(4, DAYS)))
    line.final_receipts(DATASET, 2)
    wait_for(
        lambda: any(one["advice_id"] for one in open_alerts(line)) and bool(listed(line)),
        90.0, lambda: f"an alert with advice: {open_alerts(line)} {listed(line)}", 0.5,
    )  # fmt: skip
    return line


def told(line: RunningLine, *arguments: str) -> Any:
    return json.loads(line.headrace(*arguments, "--json").stdout)


def open_alerts(line: RunningLine) -> list[dict[str, Any]]:
    printed = line.headrace("alerts", "--open", "--dataset", DATASET, "--json").stdout
    return [one for one in map(json.loads, printed.splitlines()) if one["clock"] == "event"]


def listed(line: RunningLine) -> list[dict[str, Any]]:
    return [one for one in told(line, "advice", DATASET) if one["rule"] == "value_missing"]


def stands(line: RunningLine, state: str) -> bool:
    return bool(listed(line)[0]["state"] == state)


def test_open_alerts_are_the_last_word_with_where_and_advice(watched: RunningLine) -> None:
    (alert,) = open_alerts(watched)
    assert alert["rule"] == "value_missing", "note_missing was resolved"
    assert alert["file_name"] in {"first.csv", "second.csv"}
    assert alert["segments"][0]["name"].startswith("device=D3")
    text = watched.headrace("alerts", "--open", "--dataset", DATASET).stdout
    assert "rows at risk 40 of 240; file" in text
    assert "where device=D3" in text
    assert f"advice {alert['advice_id'][:12]}: headrace advice {DATASET}" in text
    every = watched.headrace("alerts", "--dataset", DATASET).stdout
    assert "resolved: " in every
    assert "note_missing" not in text
    assert f'no open alerts for dataset "other_{DATASET}"' in watched.headrace(
        "alerts", "--open", "--dataset", f"other_{DATASET}"
    ).stdout  # fmt: skip


def fields(profile: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in profile["fields"]}


def test_profile_shows_the_newest_window_another_and_several_together(watched: RunningLine) -> None:
    newest = told(watched, "profile", DATASET)
    # The last day stays open until later rows come.
    assert newest["start"] == micros(FIRST + timedelta(days=DAYS - 2))
    assert (newest["clock"], newest["windows"], newest["rows"]) == ("event", 1, A_DAY)
    assert fields(newest)["value"]["nulls"] == A_DAY // DEVICES
    assert fields(newest)["value"]["minimum"] == pytest.approx(20.0)
    first = told(watched, "profile", DATASET, "--window", f"{FIRST:%Y-%m-%d}")
    assert (first["start"], first["rows"]) == (micros(FIRST), A_DAY)
    assert (fields(first)["value"]["nulls"], fields(first)["note"]["nulls"]) == (0, A_DAY // 10)
    several = told(watched, "profile", DATASET, "--last", "P6D")
    assert (several["windows"], several["rows"]) == (DAYS - 1, (DAYS - 1) * A_DAY)
    assert fields(several)["value"]["nulls"] == (DAYS - 3) * A_DAY // DEVICES
    assert fields(several)["note"]["nulls"] == A_DAY // 10
    assert fields(several)["device"]["distinct"] == pytest.approx(DEVICES, rel=0.05)
    arrival = told(watched, "profile", DATASET, "--clock", "arrival") if arrived(watched) else {"clock": "arrival"}
    assert arrival["clock"] == "arrival"


def arrived(line: RunningLine) -> bool:
    return line.value(f"SELECT count() FROM headrace.windows WHERE dataset = '{DATASET}' AND clock = 'arrival'") != "0"


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def test_profile_in_words_shows_no_personal_value_and_names_what_is_not_there(watched: RunningLine) -> None:
    text = watched.headrace("profile", DATASET).stdout
    assert f"{DATASET}, event time, 1 window(s)" in text
    assert "mail (hidden)" in text
    assert "@example.org" not in text
    for wrong, said in (
        (("--window", "2020-01-01"), "no closed window"),
        (("--window", "soon"), "is no time"),
        (("--last", "long"), "is no length of time"),
        (("--last", "P1D", "--window", "2026-03-02"), "one window"),
    ):
        done = watched.headrace("profile", DATASET, *wrong, check=False)
        assert (done.returncode != 0, said in done.stderr) == (True, True), (wrong, done.stderr)


def test_advice_is_listed_with_its_evidence_and_follows_what_a_person_decides(watched: RunningLine) -> None:
    (one,) = listed(watched)
    assert (one["symptom"], one["segment"], one["owner"]) == (
        "concentrated_nulls",
        "device=D3",
        "field-data@example.org",
    )
    text = watched.headrace("advice", DATASET).stdout
    assert "Make value mandatory at device=D3.  [proposed]" in text
    assert "evidence  Worst: device=D3" in text
    assert f"confident {one['confidence']:.0%} that this is the cause" in text
    assert "owner field-data@example.org" in text
    query = next(line for line in text.splitlines() if "query" in line and "`value`" in line)
    asked = watched.headrace(*shlex.split(query.partition("headrace ")[2]))
    assert "D3" in asked.stdout, "the evidence can be asked for again as it is printed"
    for word, state in (("--accept", "accepted"), ("--done", "done"), ("--dismiss", "dismissed")):
        done = watched.headrace("advice", DATASET, word, one["advice_id"][:10], "--why", f"because {state}")
        assert done.stdout.strip() == f"{one['advice_id']} of {DATASET} is {state}"
        wait_for(partial(stands, watched, state), 60.0, lambda: str(listed(watched)), 0.3)
        assert listed(watched)[0]["why"] == f"because {state}"
        assert f"because {state}" in watched.headrace("advice", DATASET).stdout
    for wrong, said in (
        (("--accept", "nothing"), "0 advices"),
        (("--accept", one["advice_id"], "--done", one["advice_id"]), "one decision at a time"),
        (("--why", "because"), "one decision at a time"),
    ):
        refused = watched.headrace("advice", DATASET, *wrong, check=False)
        assert (refused.returncode != 0, said in refused.stderr) == (True, True), (wrong, refused.stderr)
    assert "no advice for dataset" in watched.headrace("advice", f"other_{DATASET}").stdout
