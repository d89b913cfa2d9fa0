"""Lines on their way to an exporter: never in the way of the work, bounded, counted when lost."""

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from headrace.core.child import wait_until
from headrace.observability.counter_export import Counters
from headrace.observability.counters import current_values
from headrace.observability.events import BatchRepeated, emit
from headrace.observability.log_events import LogsLost
from headrace.observability.log_export import LogExport, process_logs
from headrace.observability.log_lines import LogLine
from headrace.observability.logs import configure_logs
from headrace.settings import Settings
from headrace.testing.logs import kept_logging


@pytest.fixture(autouse=True)
def counters() -> Iterator[Counters]:
    kept = Counters("sink")
    with kept_logging():
        yield kept
        kept.close()


def lost() -> int:
    return current_values().get(LogsLost.metric, 0)


def line(name: str, level: str = "info", logger: str = "headrace") -> LogLine:
    return LogLine(1, level, "sink", "sink", logger, "stage_started", name)


class Endpoint:
    """Takes lines, or says why not; it can be made to hang."""

    def __init__(self, cause: str = "") -> None:
        self.cause, self.taken, self.calls = cause, list[str](), 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, lines: Sequence[LogLine]) -> str:
        self.calls += 1
        self.free.wait()
        if not self.cause:
            self.taken += [one.message for one in lines]
        return self.cause


def test_lines_arrive_in_order_and_those_of_the_end_too() -> None:
    endpoint = Endpoint()
    export = LogExport("test", endpoint, delay_secs=0.01)
    for number in range(2_500):
        export.write(line(str(number)))
    export.close()
    assert endpoint.taken == [str(number) for number in range(2_500)]
    assert lost() == 0


def test_endpoint_that_hangs_holds_up_nobody_and_the_oldest_lines_give_way() -> None:
    endpoint = Endpoint()
    endpoint.free.clear()
    export = LogExport("test", endpoint, queue=100, delay_secs=0.01)
    export.write(line("first"))
    assert wait_until(lambda: endpoint.calls == 1, 10)
    for number in range(1_000):
        export.write(line(str(number)))
    endpoint.free.set()
    export.close()
    assert endpoint.taken == ["first", *(str(number) for number in range(900, 1_000))]
    assert lost() == 900


def test_end_of_a_process_waits_two_seconds_at_most_for_an_endpoint_that_hangs() -> None:
    endpoint = Endpoint()
    endpoint.free.clear()
    export = LogExport("test", endpoint, delay_secs=0.01)
    export.write(line("first"))
    assert wait_until(lambda: endpoint.calls == 1, 10)
    export.write(line("second"))
    began = time.monotonic()
    export.close()
    assert time.monotonic() - began < 30  # a limit against hanging for ever; the wait itself is two seconds
    assert lost() == 2
    endpoint.free.set()


def test_lines_that_a_failing_exporter_causes_are_not_exported_but_written(tmp_path: Path) -> None:
    endpoint = Endpoint("refused")
    logs = configure_logs(Settings(home=tmp_path), "sink")
    export = LogExport("test", endpoint, delay_secs=0.01)
    logs.attach(export)
    emit(BatchRepeated(stage="sink", cause="one"))
    logging.getLogger("opentelemetry.exporter").warning("cannot export")
    logs.detach(export)
    export.close()
    assert lost() == 1
    calls = endpoint.calls
    assert "log lines not exported" in (tmp_path / "logs" / "sink.log").read_text()
    assert endpoint.calls == calls


def test_debug_lines_are_not_exported(tmp_path: Path) -> None:
    endpoint = Endpoint()
    logs = configure_logs(Settings(home=tmp_path, log_level="debug"), "sink")
    export = LogExport("test", endpoint, delay_secs=0.01)
    logs.attach(export)
    logging.getLogger("library").debug("small")
    logging.getLogger("library").info("great")
    logs.detach(export)
    export.close()
    assert endpoint.taken == ["great"]


def test_protocol_whose_package_is_not_there_costs_lines_of_the_export_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc._log_exporter", None)
    monkeypatch.setattr("headrace.observability.log_export.WarehouseLogs", lambda *_: Endpoint())
    with process_logs(Settings(home=tmp_path), "sink"):
        emit(BatchRepeated(stage="sink", cause="one"))
    assert lost() == 1
    assert "ModuleNotFoundError" in (tmp_path / "logs" / "sink.log").read_text()
