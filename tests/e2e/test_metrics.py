"""The metrics of a running line: what its processes expose is what docs/guide/metrics.md lists, and nothing else."""

import re
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from headrace.cli.metric_page import PAGE
from headrace.core.child import wait_until
from headrace.observability import notify_events
from headrace.observability.endpoint import PROCESSES
from headrace.observability.events import Event, measures_of
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
# It runs only where there is a notify.yaml.
OF_NOTIFY = {
    measure.name
    for kind in vars(notify_events).values()
    if isinstance(kind, type) and issubclass(kind, Event)
    for measure in measures_of(kind)
}


def scraped(line: RunningLine, process: str) -> dict[str, Metric]:
    """Return what Prometheus' parser reads at a process, by the names that the text tells."""
    with urllib.request.urlopen(f"http://{line.status()['telemetry'][process]}/metrics") as reply:
        text = reply.read().decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    return {
        name if name in text.split() else f"{name}_total": family
        for name, family in found.items()
        if not name.endswith("_created")
    }


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for sample in family.samples}


def test_what_the_processes_of_a_line_expose_is_what_the_page_lists(line: RunningLine) -> None:
    told = line.status()["telemetry"]
    assert set(told) == set(PROCESSES) - {"notify"}
    exposed = {process: scraped(line, process) for process in told}
    rows = re.findall(r"^\| `(headrace_\w+)` \|", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)) > 60
    assert {name for families in exposed.values() for name in families} - set(rows) == set()
    assert set(rows) - {name for families in exposed.values() for name in families} <= OF_NOTIFY
    for families in exposed.values():
        assert all(family.documentation and family.type != "unknown" for family in families.values())


def test_a_file_is_counted_by_every_stage_and_its_way_is_timed(line: RunningLine) -> None:
    folder = line.settings.paths().inbox / "metered"
    folder.mkdir(parents=True)
    (folder / "private-name.csv").write_text("id,amount\n" + "".join(f"{row},{row}\n" for row in range(500)))

    def seen(process: str, metric: str, *key: str) -> float:
        return values(scraped(line, process)[metric]).get(key, 0)

    visible = "headrace_file_visible_seconds"
    assert wait_until(lambda: seen("receipts", visible, f"{visible}_count", "metered") == 1, 120)
    assert 0 < seen("receipts", visible, f"{visible}_sum", "metered") < 120
    assert seen("watcher", "headrace_files_total", "headrace_files_total", "metered", "published") == 1
    assert seen("judge", "headrace_judged_rows_total", "headrace_judged_rows_total", "metered") == 500
    assert seen("sink", "headrace_stored_rows_total", "headrace_stored_rows_total", "metered") == 500
    assert seen("sink", "headrace_insert_seconds", "headrace_insert_seconds_count", "metered") >= 1
    for stage in ("watcher", "judge", "sink", "quality", "receipts"):
        for metric in ("headrace_stage_rows_total", "headrace_stage_bytes_total", "headrace_stage_batches_total"):
            assert seen(stage, metric, metric, stage) > 0, (stage, metric)
        assert seen(stage, "headrace_batch_seconds", "headrace_batch_seconds_count", stage) > 0
    for stage in ("watcher", "judge", "sink", "receipts"):
        assert seen(stage, "headrace_transaction_seconds", "headrace_transaction_seconds_count", stage) > 0
    for process in line.status()["telemetry"]:
        memory = "headrace_process_memory_bytes"
        assert seen(process, memory, memory, process) > 1e7
        labels = {
            value
            for family in scraped(line, process).values()
            for sample in family.samples
            for value in sample.labels.values()
        }
        assert not [value for value in labels if "private-name" in value]


def test_the_supervisor_tells_of_every_process_and_of_kafka(line: RunningLine) -> None:
    families = scraped(line, "supervisor")
    running = set(line.status()["telemetry"]) - {"supervisor"} | {"kafka"}
    up = {key[1] for key, value in values(families["headrace_process_up"]).items() if value == 1}
    assert up == running
    restarts = values(families["headrace_process_restarts_total"])
    assert {key[1] for key in restarts} == running
    assert values(families["headrace_process_memory_bytes"])["headrace_process_memory_bytes", "kafka"] > 1e7
    assert values(families["headrace_disk_free_bytes"])["headrace_disk_free_bytes",] > 0
