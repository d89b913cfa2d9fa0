"""headrace report on a running line: windows, alerts, advice and rows as they really came, nothing personal in them."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.core.child import wait_until
from headrace.testing.html import Page
from headrace.testing.line import BACKGROUND_SECS, RunningLine

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

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


def visits(days: range) -> str:
    """Return days of visits; on two of them the back door gives no badges. Every fact of a guest is an x-word."""
    lines = ["came_at,door,guest,mail,badge"]
    for day in days:
        for guest in range(GUESTS):
            door = "back" if guest % 4 == 0 else "front"
            badge = "" if day in BAD_DAYS and door == "back" else str(guest)
            lines.append(
                f"2024-05-0{day}T1{guest % 10}:00:00Z,{door},xname{guest},xmail{guest % 3}@example.org,{badge}"
            )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def visited(line: RunningLine, tmp_path_factory: pytest.TempPathFactory) -> RunningLine:
    """The visits came in two files, and an alert of the third day has rows to look at."""
    contract = tmp_path_factory.mktemp("visits") / "visits.odcs.yaml"
    contract.write_text(CONTRACT)
    target = line.settings.paths().contracts / contract.name
    target.parent.mkdir(parents=True, exist_ok=True)
    contract.replace(target)
    # The third day's rows are stored before the next file closes it: where and why is asked of the table.
    line.drop("visits", "may.csv", visits(range(1, 4)).encode())
    line.final_receipts("visits", 1)
    line.drop("visits", "later.csv", visits(range(4, DAYS + 1)).encode())
    line.final_receipts("visits", 2)
    found = "SELECT count() FROM headrace.alerts WHERE dataset = 'visits' AND notEmpty(samples)"
    closed = "SELECT count() FROM headrace.windows WHERE dataset = 'visits' AND clock = 'event'"
    told = "SELECT rule, state, window_start, length(samples), message FROM headrace.alerts WHERE dataset = 'visits'"
    known = wait_until(lambda: line.value(found) not in {"", "0"} and line.value(closed) == "4", BACKGROUND_SECS)
    assert known, f"{line.value(closed)} windows closed; alerts: {line.value(told)}"
    return line


def test_report_tells_what_came_where_and_hides_who_it_was(visited: RunningLine, tmp_path: Path) -> None:
    page = tmp_path / "visits.html"
    assert "4 windows of visits" in visited.headrace("report", "visits", "--html", str(page)).stdout
    text = page.read_text()
    assert not Page(text).problems
    for word in ("Ann of the desk", "badge_given", "10 of 40 have no badge (25 %)", "door back", "may.csv, row 80"):
        assert word in text, word
    assert "Rows to look at" in text
    assert "xname" not in text
    assert "xmail" not in text
    assert text.count(">#") >= 2, "mails are tokens"


def test_page_of_all_datasets_is_made_of_what_is_there(visited: RunningLine, tmp_path: Path) -> None:
    page = tmp_path / "all.html"
    assert "datasets" in visited.headrace("report", "--all", "--html", str(page)).stdout
    text = page.read_text()
    assert not Page(text).problems
    assert 'id="dataset-visits"' in text
    assert "headrace report visits --html visits.html" in text
    assert "xname" not in text
    assert "xmail" not in text
    both = visited.headrace("report", "visits", "--all", "--html", str(page), check=False)
    assert (both.returncode, page.read_text()) == (2, text)


def test_profile_says_what_a_window_is_worth_and_when_fields_were_seen(visited: RunningLine) -> None:
    profile = json.loads(visited.headrace("profile", "visits", "--json").stdout)
    # The fourth day is the newest that is closed: a quarter of its rows, far beyond the only rule.
    assert (profile["score"], profile["trend"], profile["worst_field"]) == (75.0, -25.0, "badge")
    badge = next(one for one in profile["fields"] if one["name"] == "badge")
    assert badge["last_event"] - badge["first_event"] == 9 * 3600 * 1_000_000
    printed = visited.headrace("profile", "visits").stdout
    assert "score 75.0 of 100, 25.0 worse than usual; worst field badge 75.0" in printed
    assert "1 of 5 fields checked" in printed
    assert "badge first and last seen: event time 2024-05-04 10:00 to 2024-05-04 19:00; arrival 20" in printed
    windows = "headrace.windows WHERE dataset = 'visits' AND clock = 'event'"
    assert visited.value(f"SELECT DISTINCT toHour(last_event) FROM {windows}") == "19"


LATE_DAYS, LATE_FIELDS = 400, 12
LATE_CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: lately
version: "1"
status: active
schema:
  - name: lately
    customProperties:
      - {property: headrace.timeField, value: at}
      - {property: window, value: P1D}
      - {property: allowedLateness, value: PT1H}
    properties:
      - {name: at, logicalType: timestamp, required: true}
""" + "".join(f"      - {{name: f{number}, logicalType: string}}\n" for number in range(LATE_FIELDS))


def dated(days: range, rows: int, seed: int) -> bytes:
    """Return rows of days since 2023, with texts that no other row has."""
    chance, first = random.Random(seed), datetime(2023, 1, 1, 12, tzinfo=UTC)
    lines = [",".join(["at", *(f"f{number}" for number in range(LATE_FIELDS))])]
    for day in days:
        texts = ([chance.randbytes(16).hex() for _ in range(LATE_FIELDS)] for _ in range(rows))
        lines += [",".join([(first + timedelta(days=day)).isoformat(), *text]) for text in texts]
    return ("\n".join(lines) + "\n").encode()


def test_rows_that_came_when_their_window_was_forgotten_are_said_to_be_in_no_verdict(
    line: RunningLine, tmp_path: Path
) -> None:
    contract = line.settings.paths().contracts / "lately.odcs.yaml"
    contract.parent.mkdir(parents=True, exist_ok=True)
    contract.write_text(LATE_CONTRACT)
    line.drop("lately", "days.csv", dated(range(LATE_DAYS), 2, 1))
    closed = "SELECT count() FROM headrace.windows WHERE dataset = 'lately' AND clock = 'event'"
    assert wait_until(lambda: line.value(closed) == str(LATE_DAYS - 2), BACKGROUND_SECS), line.value(closed)
    line.drop("lately", "late.csv", dated(range(1), 3, 2))
    line.final_receipts("lately", 2)
    outside = "Body = 'rows outside windows' AND LogAttributes['dataset'] = 'lately'"
    told = f"SELECT count() FROM headrace.otel_logs WHERE {outside}"
    assert wait_until(lambda: line.value(told) not in {"", "0"}, BACKGROUND_SECS)
    page = tmp_path / "lately.html"
    line.headrace("report", "lately", "--html", str(page))
    assert "3 stored rows of 2023-01-01 are in no verdict here" in page.read_text()
