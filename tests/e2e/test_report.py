"""headrace report on a running line: windows, alerts, advice and rows as they really came, nothing personal in them."""

import json
from pathlib import Path

import pytest

from headrace.core.child import wait_until
from headrace.testing.html import Page
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: visits
version: "1"
status: active
team: {name: Front desk, members: [{username: ann@example.org, name: Ann of the desk, role: Owner}]}
schema:
  - name: visits
    customProperties:
      - {property: headrace.timeField, value: came_at}
      - {property: window, value: P1D}
      - {property: allowedLateness, value: PT1H}
    properties:
      - {name: came_at, logicalType: timestamp, required: true}
      - {name: door, logicalType: string}
      - {name: guest, logicalType: string, tags: [pii]}
      - {name: mail, logicalType: string, tags: [pii], customProperties: [{property: piiType, value: email}]}
      - name: badge
        logicalType: integer
        criticalDataElement: true
        quality:
          - {id: badge_given, metric: nullValues, mustBeLessThan: 5, unit: percent, severity: error}
"""
DAYS, BAD_DAYS, GUESTS = 6, (3, 4), 40


def visits() -> str:
    """Return six days of visits; on two of them the back door gives no badges. Every fact of a guest is an x-word."""
    lines = ["came_at,door,guest,mail,badge"]
    for day in range(1, DAYS + 1):
        for guest in range(GUESTS):
            door = "back" if guest % 4 == 0 else "front"
            badge = "" if day in BAD_DAYS and door == "back" else str(guest)
            lines.append(
                f"2024-05-0{day}T1{guest % 10}:00:00Z,{door},xname{guest},xmail{guest % 3}@example.org,{badge}"
            )
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(240)
def test_reports_tell_what_came_where_and_hide_who_it_was(line: RunningLine, tmp_path: Path) -> None:
    contract = tmp_path / "visits.odcs.yaml"
    contract.write_text(CONTRACT)
    target = line.settings.paths().contracts / contract.name
    target.parent.mkdir(parents=True, exist_ok=True)
    contract.replace(target)
    line.drop("visits", "may.csv", visits().encode())
    line.final_receipts("visits", 1)
    found = "SELECT count() FROM headrace.alerts WHERE dataset = 'visits' AND notEmpty(samples)"
    assert wait_until(lambda: line.value(found) not in {"", "0"}, 60), line.value(
        "SELECT rule, state, message FROM headrace.alerts WHERE dataset = 'visits'"
    )
    page = tmp_path / "visits.html"
    told = line.headrace("report", "visits", "--html", str(page)).stdout
    assert "windows of visits" in told
    text = page.read_text()
    assert not Page(text).problems
    for word in ("Ann of the desk", "badge_given", "10 of 40 have no badge (25 %)", "door back", "may.csv, row 80"):
        assert word in text, word
    assert "Rows to look at" in text
    assert "xname" not in text
    assert "xmail" not in text
    assert text.count(">#") >= 2, "mails are tokens"

    everything = tmp_path / "all.html"
    told = line.headrace("report", "--all", "--html", str(everything)).stdout
    overview = everything.read_text()
    assert not Page(overview).problems
    assert 'id="dataset-visits"' in overview
    assert "headrace report visits --html visits.html" in overview
    assert "xname" not in overview
    assert "datasets" in told
    assert line.headrace("report", "visits", "--all", "--html", str(page), check=False).returncode == 2

    profile = json.loads(line.headrace("profile", "visits", "--json").stdout)
    # The fourth day is the newest that is closed: a quarter of its rows, far beyond the only rule.
    assert (profile["score"], profile["trend"], profile["worst_field"]) == (75.0, -25.0, "badge")
    printed = line.headrace("profile", "visits").stdout
    assert "score 75.0 of 100, 25.0 worse than usual; worst field badge 75.0" in printed
    assert "1 of 5 fields checked" in printed
