"""Every view and every panel of the dashboards on a running line with data of all kinds: all of them have rows."""

import csv
import io
import json
import random
from pathlib import Path

import pytest

from headrace.cli.dashboard_files import CLICKHOUSE, FOLDER
from headrace.core.child import wait_until
from headrace.schemas.learner_store import learner_path
from headrace.sinks.views import views
from headrace.testing.line import BACKGROUND_SECS, RunningLine

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
DATASET, LEARNER = "boarded", "boarded_weight"
DAYS, BAD_DAYS, ROWS_A_DAY = 6, (3, 4), 600
CONTRACT = f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
schema:
  - name: {DATASET}
    customProperties:
      - {{property: headrace.timeField, value: came_at}}
      - {{property: window, value: P1D}}
      - {{property: allowedLateness, value: PT1H}}
    properties:
      - {{name: came_at, logicalType: timestamp, required: true}}
      - name: length
        logicalType: number
        required: true
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: weight
        logicalType: number
      - name: badge
        logicalType: integer
        criticalDataElement: true
        quality:
          - {{id: badge_given, metric: nullValues, mustBeLessThan: 5, unit: percent, severity: error}}
"""
YAML = f"""
name: {LEARNER}
version: "1.0.0"
dataset: {DATASET}
task: regression
target: weight
models:
  - model: linear_regression
"""


def boarded() -> bytes:
    """Return days of rows; every hundredth has no length, and on two days half have no badge."""
    chosen, lines = random.Random(7), ["came_at,length,weight,badge"]
    for day in range(1, DAYS + 1):
        for row in range(ROWS_A_DAY):
            length = chosen.uniform(0, 10)
            shown = "" if row % 100 == 50 else f"{length:.3f}"
            badge = "" if day in BAD_DAYS and row % 2 else str(row)
            at = f"2024-05-0{day}T{row % 24:02}:00:00Z"
            lines.append(f"{at},{shown},{2 * length + chosen.gauss(0, 0.5):.3f},{badge}")
    return "\n".join([*lines, ""]).encode()


@pytest.fixture(scope="module")
def shown(line: RunningLine) -> RunningLine:
    """A file has gone all ways: rows stored, put aside, in windows, in alerts, and learned."""
    paths = line.settings.paths()
    for path, text in ((paths.contracts / f"{DATASET}.odcs.yaml", CONTRACT), (learner_path(paths, LEARNER), YAML)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    line.drop(DATASET, "boarded.csv", boarded())
    line.final_receipts(DATASET, 1)
    assert wait_until(lambda: not without_rows(line), BACKGROUND_SECS, every_secs=1.0), without_rows(line)
    return line


def without_rows(line: RunningLine) -> list[str]:
    """Return the views that have no row of the dataset yet."""
    queries = {name: one.query.replace("{dataset:String}", f"'{DATASET}'") for name, one in views().items()}
    return [name for name, query in queries.items() if not line.value(query.replace("{trace:String}", "''"))]


@pytest.mark.parametrize("name", list(views()))
def test_view_has_rows_by_its_command(shown: RunningLine, name: str) -> None:
    about = [f"--param=dataset={DATASET}"] if "dataset" in views()[name].parameters else []
    printed = shown.process("sql", "--view", name, "--format", "CSVWithNames", *about).stdout
    head, *rows = csv.reader(io.StringIO(printed))
    assert rows
    assert all(len(row) == len(head) for row in rows)
    if "dataset" in head:
        assert {row[head.index("dataset")] for row in rows} == {DATASET}


# "All" in Grafana puts the variable's allValue there, an empty text.
@pytest.mark.parametrize("dataset", [f"'{DATASET}'", "''"], ids=["one dataset", "all"])
def test_every_panel_of_the_dashboards_has_rows(shown: RunningLine, dataset: str) -> None:
    asked = 0
    for path in (Path(__file__).parents[2] / FOLDER).glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            if panel["datasource"] != CLICKHOUSE:
                continue
            query = panel["targets"][0]["rawSql"]
            query = query.replace("${dataset:sqlstring}", dataset).replace("${trace:sqlstring}", "''")
            assert shown.value(query), panel["title"]
            asked += 1
    assert asked == len(views())


def test_trace_of_a_file_is_asked_for_by_its_id(shown: RunningLine) -> None:
    [receipt] = shown.final_receipts(DATASET, 1)
    spans = shown.process("sql", "--view", "one_trace", "--param", f"trace={receipt['trace_id']}").stdout.splitlines()
    expected = shown.value(f"SELECT count() FROM headrace.otel_traces WHERE TraceId = '{receipt['trace_id']}'")
    assert len(spans) - 1 == int(expected) > 0


def test_page_shows_every_view(shown: RunningLine, tmp_path: Path) -> None:
    shown.process("dashboard", "--html", str(tmp_path / "line.html"), "--param", f"dataset={DATASET}")
    page = (tmp_path / "line.html").read_text()
    assert all(f'id="{name}"' in page for name in views())
    assert page.count("<svg") >= 5
    assert "<script" not in page
