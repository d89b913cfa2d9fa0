"""A process's endpoint: what Prometheus's own parser reads there, who may ask, and when it is alive and ready."""

import http.client
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.observability import counters
from headrace.observability.counter_export import process_metrics
from headrace.observability.endpoint import addresses
from headrace.observability.events import AlertRaised, emit
from headrace.observability.health import Health, begin, end, tell_alive, tell_health
from headrace.observability.metric_events import BatchDone
from headrace.observability.sink_events import BlockStored
from headrace.observability.status import StageStatus
from headrace.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The home of one process that serves its metrics as `judge`."""
    settings = Settings(home=tmp_path, ready_lag=100, live_secs=30)
    with process_metrics(settings, "judge"):
        yield settings


def ask(settings: Settings, path: str, host: str = "") -> tuple[int, str]:
    address = addresses(settings.paths())["judge"]
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={"Host": host or address})
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return reply.status, body


def samples(settings: Settings) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _status, text = ask(settings, "/metrics")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_of_every_kind_are_read_by_prometheus_own_parser(settings: Settings) -> None:
    emit(BlockStored(table="orders", token="t", rows=7, seconds=0.3))
    emit(BatchDone(rows=7, size=700, seconds=0.3))
    StageStatus(settings.paths(), "judge").update(rows=7, lag=5)
    found = samples(settings)
    judge = (("stage", "judge"),)
    assert found["headrace_stored_rows_total", (("table", "orders"),)] == 7
    assert found["headrace_insert_seconds_bucket", (("le", "0.25"), ("table", "orders"))] == 0
    assert found["headrace_insert_seconds_bucket", (("le", "0.5"), ("table", "orders"))] == 1
    assert found["headrace_insert_seconds_sum", (("table", "orders"),)] == pytest.approx(0.3)
    assert found["headrace_stage_bytes_total", judge] == 700
    assert found["headrace_stage_lag", judge] == 5
    assert found["headrace_process_memory_bytes", judge] > 1e6
    assert found["headrace_process_open_files", judge] > 2
    assert found["headrace_process_cpu_seconds_total", judge] > 0
    assert found["headrace_contradicted_files_total", ()] == 0


def test_a_stage_is_in_one_state_and_its_values_stay_at_the_next_scrape(settings: Settings) -> None:
    status = StageStatus(settings.paths(), "judge")
    status.update(lag=5)
    status.update(state="waiting")
    for _scrape in range(2):
        found = samples(settings)
        states = {dict(labels)["state"]: value for (name, labels), value in found.items() if "_state" in name}
        assert states == {"running": 0, "waiting": 1}
        assert found["headrace_stage_lag", (("stage", "judge"),)] == 5


def test_ready_says_no_while_the_lag_is_great_or_the_stage_waits(settings: Settings) -> None:
    status = StageStatus(settings.paths(), "judge")
    assert ask(settings, "/ready") == (503, "the state is starting\n")
    status.update(lag=101)
    assert ask(settings, "/ready") == (503, "the lag is 101 (HEADRACE_READY_LAG is 100)\n")
    status.update(lag=100)
    assert ask(settings, "/ready") == (200, "ok\n")
    for state in ("waiting", "halted", "stopped"):
        status.update(state=state)
        assert ask(settings, "/ready") == (503, f"the state is {state}\n")
    assert ask(settings, "/live") == (200, "ok\n")


def test_live_says_no_once_the_work_loop_has_stopped(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, live_secs=1e-9)
    with process_metrics(settings, "judge"):
        StageStatus(settings.paths(), "judge").update(lag=0)
        status, text = ask(settings, "/live")
        assert (status, "work loop has not gone round" in text) == (503, True)
        assert ask(settings, "/ready")[0] == 503


def test_a_stage_that_waits_for_long_lives_and_stays_in_its_state() -> None:
    now = [0.0]
    health = Health(monotonic=lambda: now[0])
    begin(health)
    tell_health("waiting", 5)
    now[0] = 31.0
    assert health.dead_because(30) == "the work loop has not gone round for 31 s (HEADRACE_LIVE_SECS is 30)"
    tell_alive()
    assert (health.dead_because(30), health.unready_because(30, 100)) == ("", "the state is waiting")
    end(health)


def test_a_web_page_cannot_have_its_visitor_ask(settings: Settings) -> None:
    assert ask(settings, "/metrics", host="evil.example")[0] == 403
    assert ask(settings, "/metrics", host="localhost:1")[0] == 200
    assert ask(settings, "/passwd")[0] == 404


def test_labels_are_bounded_and_what_is_told_beyond_is_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "MOST_SERIES", 20)
    for number in range(50):
        emit(AlertRaised(dataset=f"d{number}", rule="row_count", severity="warning", file="f"))
    found = samples(settings)
    alerts = {labels: value for (name, labels), value in found.items() if name == "headrace_alerts_total"}
    assert (len(alerts), sum(alerts.values())) == (21, 50)
    assert alerts[("dataset", "other"), ("rule", "other"), ("severity", "other")] == 30
    assert found["headrace_capped_values_total", (("metric", "headrace_alerts_total"),)] == 30


def test_counting_goes_on_while_a_scraper_hangs(settings: Settings) -> None:
    host, _, port = addresses(settings.paths())["judge"].partition(":")
    hanging = [http.client.HTTPConnection(host, int(port)) for _ in range(4)]
    for connection in hanging:
        connection.connect()
        connection.sock.sendall(b"GET /metrics HTTP/1.0\r\n")
    scraping = threading.Thread(target=lambda: [samples(settings) for _ in range(20)])
    scraping.start()
    for _ in range(2_000):
        emit(BatchDone(rows=1, size=1, seconds=0.1))
    scraping.join()
    assert samples(settings)["headrace_stage_rows_total", (("stage", "judge"),)] == 2_000
    for connection in hanging:
        connection.close()


def test_a_taken_port_costs_the_port_and_not_the_process(tmp_path: Path) -> None:
    with process_metrics(Settings(home=tmp_path / "a"), "watcher"):
        port = int(addresses(Settings(home=tmp_path / "a").paths())["watcher"].partition(":")[2])
        port = min(port, 65_500)
        settings = Settings(home=tmp_path / "b", telemetry_port=port)
        with process_metrics(settings, "watcher"):
            address = addresses(settings.paths())["watcher"]
            assert address != f"127.0.0.1:{port}"
            with urllib.request.urlopen(f"http://{address}/live") as reply:
                assert reply.status == 200
        assert addresses(settings.paths()) == {}


def test_a_home_that_takes_no_note_of_the_endpoint_costs_the_note_and_not_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path)
    settings.paths().run.parent.mkdir(parents=True, exist_ok=True)
    # A folder where the lock is to be: opening it to write fails, also for root.
    (settings.paths().run / "telemetry.lock").mkdir(parents=True)
    with process_metrics(settings, "judge"):
        emit(BatchDone(rows=1, size=1, seconds=0.1))
    assert "note not written" in caplog.text
    assert addresses(settings.paths()) == {}


def test_address_of_a_process_that_was_killed_is_not_told_and_no_other_is_lost(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    note = settings.paths().run / "telemetry.json"
    note.parent.mkdir(parents=True)
    # No process has this number here: it was killed, or it lives in a container of its own.
    gone = {"address": "127.0.0.1:9", "pid": 2**22 + 1}
    note.write_text(json.dumps({"judge-1": gone}))
    with process_metrics(settings, "judge"):
        assert set(addresses(settings.paths())) == {"judge"}
    assert json.loads(note.read_text()) == {"judge-1": gone}
