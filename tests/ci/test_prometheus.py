"""A real Prometheus scrapes a running line, and answers every query of the dashboards and of the alert rules."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.cli.dashboard_files import MEASURED
from headrace.core.child import wait_until
from headrace.core.guarded import guarded_command
from headrace.embedded.ports import pick_ports
from headrace.testing.line import RunningLine

# Needs Debian's package prometheus, so it is outside `make test`; .ci/run installs it.
pytestmark = [pytest.mark.stack, pytest.mark.prometheus, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
DATASET = "scraped"
# With a contract, so that a row can be refused.
CONTRACT = f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
schema:
  - name: {DATASET}
    properties:
      - {{name: a, logicalType: integer, required: true}}
      - {{name: b, logicalType: integer}}
"""
QUERIES = [query for board in MEASURED.values() for _, query, _, _ in board]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "observability/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
TARGETS = [
    target
    for job in yaml.safe_load((ROOT / "observability/prometheus.yml").read_text())["scrape_configs"]
    if job["job_name"] == "headrace"
    for group in job["static_configs"]
    for target in group["targets"]
]
# Prometheus makes it of each scrape; no process tells it.
OF_PROMETHEUS = {"up"}
# There only after an event that this line does not have, so docs/guide/metrics.md stands for the process.
AFTER_AN_EVENT = {
    "headrace_lost_spans_total": "an exporter could not deliver spans",
    "headrace_lost_logs_total": "an exporter could not deliver log records",
}


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return what the API answers; raises OSError with its status if it refuses."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            found: dict[str, dict[str, Any]] = json.load(reply)
        return found["data"]

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return a query's rows."""
        rows: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return rows

    def failed_scrapes(self) -> list[str]:
        """Return which targets did not answer their last scrape, and why."""
        targets = self.get("targets")["activeTargets"]
        return [f"{one['labels'].get('process')}: {one['lastError']}" for one in targets if one["health"] != "up"]

    def answers(self) -> bool:
        """Return whether it is there."""
        try:
            return bool(self.get("status/buildinfo"))
        except OSError:
            return False


@pytest.fixture(scope="module")
def prometheus(line: RunningLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with our own configuration and rules; only the addresses are those of this line."""
    program = shutil.which("prometheus")
    assert program, "apt-get install prometheus (.ci/run does)"
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((ROOT / "observability/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    told = line.status()["telemetry"]
    groups = config["scrape_configs"][0]["static_configs"]
    for group in groups:
        group["targets"] = [told[group["labels"]["process"]]]
    config["scrape_configs"] = config["scrape_configs"][:1]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(ROOT / "observability/alerts.yml", folder)
    address = f"127.0.0.1:{pick_ports()['predict_port']}"
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            guarded_command([*command, f"--web.listen-address={address}"]), stdout=log, stderr=log
        )
    try:
        asked = Prometheus(address)
        assert wait_until(asked.answers, 30, every_secs=0.2), (folder / "log").read_text()
        contract = line.settings.paths().contracts / f"{DATASET}.odcs.yaml"
        contract.parent.mkdir(parents=True, exist_ok=True)
        contract.write_text(CONTRACT)
        for number in range(3):
            rows = "\n".join(f"{row},{number}" for row in range(2_000))
            broken = {1: ",7", 2: '"open'}.get(number, "")
            line.drop(DATASET, f"{number}.csv", f"a,b\n{rows}\n{broken}\n".encode())
            line.final_receipts(DATASET, number + 1)
        yield asked
    finally:
        running.terminate()
        running.wait(20)


@pytest.mark.parametrize("query", QUERIES)
def test_query_of_a_dashboard_has_rows(prometheus: Prometheus, query: str) -> None:
    assert wait_until(lambda: bool(prometheus.rows(query)), 60, every_secs=1.0), prometheus.failed_scrapes()


def test_every_process_answers_its_scrapes(prometheus: Prometheus) -> None:
    def all_up() -> bool:
        values = [row["value"][1] for row in prometheus.rows('up{job="headrace"}')]
        return len(values) == len(TARGETS) and set(values) == {"1"}

    assert wait_until(all_up, 30, every_secs=0.5), prometheus.failed_scrapes()


def test_alert_rules_are_read_and_evaluated_without_fault(prometheus: Prometheus) -> None:
    def evaluated() -> bool:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return len(rules) == len(RULES) and all(rule["health"] == "ok" for rule in rules)

    assert wait_until(evaluated, 30, every_secs=0.5), prometheus.get("rules")
    assert not [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]


def asked_for(rules: list[dict[str, Any]]) -> set[str]:
    """Return the metrics that the rules' expressions ask for."""
    return {name for rule in rules for name in re.findall(r"\b(headrace_\w+|up)\b", rule["expr"])}


def test_metric_of_every_alert_rule_is_one_that_processes_tell(prometheus: Prometheus) -> None:
    wanted = asked_for(RULES) - OF_PROMETHEUS - set(AFTER_AN_EVENT)
    assert len(wanted) >= 6

    def missing() -> list[str]:
        return [name for name in sorted(wanted) if not prometheus.rows(name)]

    assert wait_until(lambda: not missing(), 30, every_secs=0.5), (missing(), prometheus.failed_scrapes())
    page = (ROOT / "docs/guide/metrics.md").read_text()
    assert [name for name in AFTER_AN_EVENT if f"\n| `{name}` |" not in page] == []
    assert set(AFTER_AN_EVENT) <= asked_for(RULES)
